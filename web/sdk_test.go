package web_test

import (
	"testing"

	"ackbox/internal/testenv"
)

// The client package: its rules against a server with a clock of its own, and against the real binary on
// both backends behind a bad network, in Node and in Chromium.
func TestSDK(t *testing.T) {
	env := []string{
		"ACKBOX_TEST_BINARY=" + testenv.Binary(t),
		"ACKBOX_SDK_MYSQL_DSN=" + testenv.MySQL(t),
		"ACKBOX_SDK_REDIS_URL=" + testenv.Redis(t),
	}
	npm(t, env, "run", "--workspace", "sdk", "test")
}
