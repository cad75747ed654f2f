package instance

// Names of the environment variables that tell tests what is there already.
const (
	MySQLVariable  = "ACKBOX_TEST_MYSQL_DSN" // go-sql-driver DSN of a user who may create databases
	RedisVariable  = "ACKBOX_TEST_REDIS_URL" // redis:// URL
	BinaryVariable = "ACKBOX_TEST_BINARY"    // path of the ackbox binary
	// RunDirectoryVariable names a directory in which one run's test processes share what is built once.
	RunDirectoryVariable = "ACKBOX_TEST_RUN_DIR"
)
