"""Who runs, uses, calls and serves what: functions of the release's facts and the site file."""
