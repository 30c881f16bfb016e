"""Reads partitioned visits with polars: how many machines, days, visits?"""

import sys

import polars

visits = polars.scan_parquet(sys.argv[1] + "/visits/**/*.parquet", hive_partitioning=True)
print(*visits.select(polars.col("part").n_unique(), polars.col("dt").n_unique(), polars.len()).collect().row(0))
