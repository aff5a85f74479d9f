"""What is written or sent while a run goes on: samples to files, sums and distributions to collectors."""
