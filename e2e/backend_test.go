package e2e

import (
	"testing"

	"ackbox/client"
	"ackbox/internal/testenv"
)

// secret signs the access tokens of the servers that must be given one.
const secret = "b3f1c6a07d5e4c2f9a8b1d0e6f7c4a35"

// backend is a pair of stores that a server runs on; env gives the settings that select it, with an empty database.
type backend struct {
	name string
	env  func(tb testing.TB) []string
}

var (
	// embedded is the default of `ackbox serve`: a SQLite file and an in-process Redis.
	embedded = backend{name: "embedded", env: func(testing.TB) []string { return nil }}

	// mariaDB is MariaDB with a real Redis. Each installation has a Redis of its own: ids are unique in one database, and
	// channels are named by them, so two installations on one Redis could hear each other.
	mariaDB = backend{name: "mariadb", env: func(tb testing.TB) []string {
		return storeEnv(testenv.MySQL(tb), testenv.StartRedis(tb).URL())
	}}
)

// storeEnv selects a MySQL database and a Redis.
func storeEnv(dsn, redis string) []string {
	return []string{"ACKBOX_MYSQL_DSN=" + dsn, "ACKBOX_REDIS_URL=" + redis, "ACKBOX_JWT_SECRET=" + secret}
}

// patientWithAcks is for tests that do not ack while they do much: on a busy machine five attempts would be over before.
const patientWithAcks = "ACKBOX_ACK_MAX_ATTEMPTS=40"

// system is a running server of a backend.
type system struct {
	backend backend
	server  *testenv.Server
	client  *client.Client
}

// start runs a server of the test's own with further settings.
func (b backend) start(tb testing.TB, settings ...string) *system {
	tb.Helper()
	return b.startOn(tb, b.env(tb), settings...)
}

// startOn runs a server on stores that exist already: another node, when one runs there.
func (b backend) startOn(tb testing.TB, stores []string, settings ...string) *system {
	tb.Helper()
	env := append([]string{"ACKBOX_RATE_LIMIT=off"}, stores...)
	env = append(env, settings...)
	s := &system{backend: b, server: testenv.StartServer(tb, testenv.Binary(tb), env...)}
	s.client = client.New(s.server.URL)
	tb.Cleanup(s.client.Close)
	return s
}
