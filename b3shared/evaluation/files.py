"""Names of the files that an evaluation writes beside its pictures and outcomes."""

METRICS_FILE = "metrics.json"
REPORT_FILE = "report.html"
