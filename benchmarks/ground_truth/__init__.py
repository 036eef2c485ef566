"""Questions with known answers, made by `tools.ground_truth`: what reads and scores them."""
