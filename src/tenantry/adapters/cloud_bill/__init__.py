"""`ports.cloud_bill.BillExport`: a Cost and Usage Report (CUR 2.0) as AWS delivers it.

Owns: which files are the report's newest, their two formats, and the place of a line that cannot be
read. Does not own: where they lie (`ports.record_files`), nor what a row means (`domain.bill`).
"""
