"""Reads SARIF with Microsoft's sarif-tools: how many results of each severity?"""

import sys

from sarif import loader

report = loader.load_sarif_file(sys.argv[1]).get_report()
print(*(report.get_issue_count_for_severity(it) for it in ("error", "warning", "note")))
