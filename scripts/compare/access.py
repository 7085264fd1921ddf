"""Who the measurements are: a super admin of every server that they start. The
servers listen on loopback only, and their data is a sample."""

TOKEN = "only-for-measurements-on-a-sample-01"
HEADERS = {"Authorization": f"Bearer {TOKEN}"}
HEADER_LINES = "".join(f"{name}: {value}\r\n" for name, value in HEADERS.items())
ENVIRONMENT = {"SPENDLAKE_INIT_ADMIN_TOKEN": TOKEN}
