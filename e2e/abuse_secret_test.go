package e2e

import (
	"database/sql"
	"strings"
	"testing"

	_ "github.com/go-sql-driver/mysql" // for a database that is broken on purpose

	"ackbox/client"
	"ackbox/internal/testenv"
)

// TestAbuseErrorsTellNoSecrets: when the database refuses every statement, the log tells what is wrong, and nothing of
// what the statements carried.
func TestAbuseErrorsTellNoSecrets(t *testing.T) {
	t.Parallel()
	dsn := testenv.MySQL(t)
	redis := testenv.StartRedis(t)
	s := mariaDB.startOn(t, storeEnv(dsn, redis.URL()), "ACKBOX_LOG_LEVEL=debug")
	session, err := s.client.Register(within(t, patience), client.Credentials{Username: freshName(), Password: secretPassword})
	if err != nil {
		t.Fatal(err)
	}
	bob := &actor{Session: session, t: t}
	bob.sendDraft(client.Text(bob.id(), "k-"+freshName(), secretText))
	socket := bob.open(client.Dial{Device: "laptop"})
	db, err := sql.Open("mysql", dsn)
	if err != nil {
		t.Fatal(err)
	}
	for _, table := range []string{"messages", "mailboxes", "credentials", "refresh_tokens", "conversations"} {
		if _, err := db.ExecContext(within(t, patience), "RENAME TABLE "+table+" TO "+table+"_elsewhere"); err != nil {
			t.Fatal(err)
		}
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	redis.Kill()
	bob.misuseSecrets(t)
	if err := socket.Drop(); err != nil {
		t.Fatal(err)
	}
	if err := s.server.Terminate(); err != nil {
		t.Logf("the server ended with %v", err)
	}
	log := s.server.Output()
	if strings.Count(log, "level=ERROR") < 3 {
		t.Errorf("the log tells of %d errors", strings.Count(log, "level=ERROR"))
	}
	tellsNoSecrets(t, log)
}
