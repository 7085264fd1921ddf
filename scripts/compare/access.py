"""Who the measurements are: a super admin of every server that they start. The
servers listen on loopback only, and their data is a sample."""

TOKEN = "only-for-measurements-on-a-sample-01"
HEADER_LINES = f"Authorization: Bearer {TOKEN}\r\n"
ENVIRONMENT = {"SPENDLAKE_INIT_ADMIN_TOKEN": TOKEN}
