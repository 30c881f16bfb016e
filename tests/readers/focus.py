"""Validates a FOCUS export with the FinOps Foundation's validator: which of its rules of 1.0 fail?

A CSV file has no types, so columns get those that FOCUS gives them. The validator would fetch the list of currencies.
"""

import contextlib
import io
import re
import sys

import focus_validator.rules.checks as checks
import pandas

checks.get_currency_codes = lambda: ["USD"]
from focus_validator.main import main

table = pandas.read_csv(sys.argv[1], dtype=str, keep_default_na=False, na_values=[""])
for column in table.columns:
    if column.endswith(("Cost", "Quantity", "UnitPrice")):
        table[column] = table[column].astype(float)
typed = sys.argv[1] + ".parquet"
table.to_parquet(typed)
sys.argv = ["focus-validator", "--data-file", typed, "--validate-version", "1.0"]
said = io.StringIO()
with contextlib.redirect_stdout(said), contextlib.suppress(SystemExit):
    main()
assert "alidation" in said.getvalue(), said.getvalue()
print(*sorted(re.findall(r"^(\w+) failed:", said.getvalue(), re.MULTILINE)))
