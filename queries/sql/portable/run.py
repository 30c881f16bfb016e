"""Answers statements over the Parquet files of a lake with Spark: over a socket of this machine, a JSON document a line each way.

The first line tells where the tables lie; every other one is a statement. (Programs that spark-submit starts have no standard input.)
"""

import datetime
import decimal
import json
import os
import socket
import sys

from pyspark.sql import SparkSession
from pyspark.sql import functions as f

EPOCH = datetime.datetime(1970, 1, 1)


def table(spark, columns, files, deletions):
    """The rows of files, without those that a file of deletions names."""
    schema = ", ".join(f"`{name}` {kind}" for name, kind in columns)
    if not files:
        return spark.createDataFrame([], schema)
    # With the types given, no file has to be opened to find them out.
    reader = spark.read.schema(schema)
    kept = [it for it in files if it not in deletions]
    parts = []
    if kept:
        parts.append(reader.parquet(*kept).select(*[name for name, _ in columns]))
    if deletions:
        last = f.element_at(f.split(f.col("file_path"), "/"), -1)
        gone = spark.read.parquet(*sorted(set(deletions.values()))).select(last.alias("gone_file"), f.col("pos").alias("gone_row"))
        rows = reader.parquet(*deletions).select(
            *[name for name, _ in columns],
            f.col("_metadata.file_name").alias("own_file"),
            f.col("_metadata.row_index").alias("own_row"),
        )
        is_gone = (f.col("own_file") == f.col("gone_file")) & (f.col("own_row") == f.col("gone_row"))
        parts.append(rows.join(gone, is_gone, "left_anti").select(*[name for name, _ in columns]))
    whole = parts[0]
    for it in parts[1:]:
        whole = whole.unionByName(it)
    return whole


def cell(it):
    if isinstance(it, datetime.datetime):
        return {"us": (it - EPOCH) // datetime.timedelta(microseconds=1)}
    if isinstance(it, decimal.Decimal):
        return int(it) if it == int(it) else float(it)
    return it


def main():
    channel = socket.create_connection(("127.0.0.1", int(sys.argv[1]))).makefile("rw", encoding="utf-8")
    channel.write(os.environ["STEPSCOPE_SPARK_TOKEN"] + "\n")
    channel.flush()
    spark = (
        SparkSession.builder.appName("stepscope")
        .config("spark.sql.session.timeZone", "UTC")
        .config("spark.sql.timestampType", "TIMESTAMP_NTZ")
        .config("spark.sql.parquet.inferTimestampNTZ.enabled", "true")
        .config("spark.ui.showConsoleProgress", "false")
        .getOrCreate()
    )

    def answer(it):
        channel.write(json.dumps(it) + "\n")
        channel.flush()

    for line in channel:
        asked = json.loads(line)
        try:
            if "tables" in asked:
                for it in asked["tables"]:
                    table(spark, it["columns"], it["files"], it["deletions"]).createOrReplaceTempView(it["name"])
                for statement in asked["statements"]:
                    spark.sql(statement)
                answer({"rows": []})
            else:
                answer({"rows": [[cell(it) for it in row] for row in spark.sql(asked["sql"]).collect()]})
        except Exception as error:  # whatever Spark has against a statement is the answer
            answer({"error": str(error)[:2000]})
    spark.stop()


main()
