"""The exchange's daily quote files: download, archive, records, report."""
