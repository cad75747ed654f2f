package e2e

import (
	"bytes"
	"database/sql"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"ackbox/client"
	"ackbox/internal/testenv"

	_ "github.com/go-sql-driver/mysql" // to contract the schema
)

// nextBinary is a server of the next release: it has a migration more, which adds a column.
func nextBinary(t *testing.T) string {
	t.Helper()
	root, err := filepath.Abs("..")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	overlay := struct{ Replace map[string]string }{map[string]string{}}
	for dialect, column := range map[string]string{"mysql": "VARCHAR(16)", "sqlite": "TEXT"} {
		file := filepath.Join(dir, dialect+".sql")
		text := "-- +goose Up\nALTER TABLE users ADD COLUMN next_release " + column + " NOT NULL DEFAULT '';\n"
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		overlay.Replace[filepath.Join(root, "migrations", dialect, "90001_next.sql")] = file
	}
	text, err := json.Marshal(overlay)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "overlay.json"), text, 0o600); err != nil {
		t.Fatal(err)
	}
	binary := filepath.Join(dir, "ackbox-next")
	cmd := exec.CommandContext(t.Context(), "go", append(testenv.BuildArgs(), "-overlay="+filepath.Join(dir, "overlay.json"), "-o", binary, ".")...)
	cmd.Dir = root
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("build the next release: %v: %s", err, out)
	}
	return binary
}

// TestUpgrade lets the next release start beside this one, on the same stores: both work on, with each other, and then
// only the next one is there. When that contracts the schema, this one refuses to start.
func TestUpgrade(t *testing.T) {
	t.Parallel()
	next := nextBinary(t)
	stores := storeEnv(testenv.MySQL(t), testenv.StartRedis(t).URL())
	now := mariaDB.startOn(t, stores, patientWithAcks)
	alice, bob := now.user(t), now.user(t)
	phone := alice.openLive("phone")

	later := &system{backend: mariaDB, server: testenv.StartServer(t, next, append([]string{"ACKBOX_RATE_LIMIT=off", patientWithAcks}, stores...)...)}
	later.client = client.New(later.server.URL)
	t.Cleanup(later.client.Close)
	laptop := bob.at(later).openLive("laptop")
	for n := int64(1); n <= 4; n += 2 {
		alice.send(bob, "from this one to the next")
		laptop.pushes(n, n)
		bob.at(later).ack("laptop", n, n)
		bob.at(later).send(alice, "and back")
		laptop.pushes(n+1, n+1)
		bob.at(later).ack("laptop", n+1, n+1)
		phone.pushes(n, n+1)
		alice.ack("phone", n+1, n+1)
	}
	newcomer := now.user(t) // this one inserts without the column that it does not know
	newcomer.at(later).send(alice, "hello")
	phone.pushes(5, 5)
	now.server.Restart() // and starts on a schema that is newer than it
	if !strings.Contains(now.server.Output(), "the schema is of a later version") {
		t.Error("a start on a newer schema is not logged")
	}
	phone = alice.open(client.Dial{Device: "phone"})
	phone.pushes(5, 5)

	// This one drains: its clients go over, with everything.
	if err := now.server.Terminate(); err != nil {
		t.Fatal(err)
	}
	phone.endsWith(1012)
	phone = alice.at(later).open(client.Dial{Device: "phone"})
	phone.pushes(5, 5)
	phone.synced(5)
	bob.at(later).send(alice, "only the next one is left")
	phone.pushes(6, 6)

	// The release after that takes out what this one works with.
	contract(t, strings.TrimPrefix(stores[0], "ACKBOX_MYSQL_DSN="))
	cmd := exec.CommandContext(within(t, 2*patience), testenv.Binary(t), "serve")
	cmd.Dir = t.TempDir()
	cmd.Env = append([]string{"PATH=/usr/bin:/bin", "ACKBOX_HTTP_ADDR=" + testenv.Addr(t), "ACKBOX_DATA_DIR=" + filepath.Join(cmd.Dir, "data")}, stores...)
	cmd.WaitDelay = time.Second
	if out, err := cmd.CombinedOutput(); err == nil || !bytes.Contains(out, []byte("needs migration 90001")) {
		t.Errorf("a start on a schema without what it needs: %v, %s", err, out)
	}
	later.server.Restart() // which knows that migration
}

func contract(t *testing.T, dsn string) {
	t.Helper()
	db, err := sql.Open("mysql", dsn)
	if err != nil {
		t.Fatal(err)
	}
	_, err = db.ExecContext(within(t, patience), "REPLACE INTO installation (id, needs) VALUES (2, 90001)")
	if closeErr := db.Close(); err == nil {
		err = closeErr
	}
	if err != nil {
		t.Fatal(err)
	}
}
