// Package testenv gives tests real servers: MariaDB, Redis and the ackbox binary itself, as processes that can be killed.
//
// Every package's tests run under Main. Missing servers are a failure with a hint, never a skipped test. The servers
// shared by many tests come from the environment (ACKBOX_TEST_MYSQL_DSN, ACKBOX_TEST_REDIS_URL; `make test` sets them)
// or are started by the first test that asks.
package testenv
