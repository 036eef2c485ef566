"""`ports.batch.Buckets`: what batch jobs read and write, in the accounts' own buckets.

Owns: reaching Amazon S3, or a folder for each bucket where one stands for it. Does not own: what a
job's files mean.
"""
