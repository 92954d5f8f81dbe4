"""What `bench_sending` sends, and those it is held against."""
