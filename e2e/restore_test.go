package e2e

import (
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/go-sql-driver/mysql"
	"github.com/google/uuid"

	"ackbox/client"
	"ackbox/internal/testenv"
)

// TestRestore brings the database back to a backup that was made while everything ran: devices that hold what is gone find
// out and step back, no message id is used twice, and everything goes on. On MariaDB the node runs on meanwhile, which
// nobody should do, and tells its sockets.
func TestRestore(t *testing.T) {
	t.Parallel()
	t.Run("embedded", func(t *testing.T) {
		t.Parallel()
		s := embedded.start(t, patientWithAcks)
		folder := filepath.Join(t.TempDir(), "backup")
		restored(t, s, func() { ackbox(t, s, nil, "backup", "--to="+folder) }, func() {
			if out, err := command(t, s, nil, "restore", "--from="+folder).CombinedOutput(); err == nil || !strings.Contains(string(out), "stop it first") {
				t.Errorf("a restore beneath a running server: %v, %s", err, out)
			}
			if err := s.server.Terminate(); err != nil {
				t.Fatal(err)
			}
			ackbox(t, s, nil, "restore", "--from="+folder)
			s.server.Restart()
		}, false)
	})
	t.Run("mariadb", func(t *testing.T) {
		t.Parallel()
		stores := mariaDB.env(t)
		s := mariaDB.startOn(t, stores, patientWithAcks, "ACKBOX_SWEEP_INTERVAL=1s")
		dsn, err := mysql.ParseDSN(strings.TrimPrefix(stores[0], "ACKBOX_MYSQL_DSN="))
		if err != nil {
			t.Fatal(err)
		}
		client := []string{"--no-defaults", "--user=" + dsn.User, "--password=" + dsn.Passwd}
		if dsn.Net == "unix" {
			client = append(client, "--socket="+dsn.Addr)
		} else {
			host, port, _ := strings.Cut(dsn.Addr, ":")
			client = append(client, "--protocol=tcp", "--host="+host, "--port="+port)
		}
		file := filepath.Join(t.TempDir(), "backup.sql.gz")
		script := func(name string) {
			t.Helper()
			path, err := filepath.Abs("../deploy/" + name)
			if err != nil {
				t.Fatal(err)
			}
			cmd := exec.CommandContext(within(t, 2*patience), path, append([]string{file, dsn.DBName}, client...)...)
			cmd.Env = append(os.Environ(), "ACKBOX="+testenv.Binary(t))
			cmd.Env = append(cmd.Env, stores...)
			if out, err := cmd.CombinedOutput(); err != nil {
				t.Fatalf("deploy/%s: %v: %s", name, err, out)
			}
		}
		restored(t, s, func() { script("backup") }, func() { script("restore") }, true)
	})
}

// command is one of the server's binary on the server's data.
func command(t *testing.T, s *system, env []string, args ...string) *exec.Cmd {
	t.Helper()
	cmd := exec.CommandContext(within(t, 2*patience), testenv.Binary(t), args...)
	cmd.Dir = t.TempDir()
	cmd.Env = append([]string{"PATH=" + os.Getenv("PATH"), "ACKBOX_DATA_DIR=" + s.server.Dir()}, env...)
	return cmd
}

func ackbox(t *testing.T, s *system, env []string, args ...string) {
	t.Helper()
	if out, err := command(t, s, env, args...).CombinedOutput(); err != nil {
		t.Fatalf("ackbox %s: %v: %s", args[0], err, out)
	}
}

func restored(t *testing.T, s *system, backup, restore func(), running bool) {
	t.Helper()
	alice, bob := s.user(t), s.user(t)
	file := alice.upload("a.txt", "text/plain", []byte("kept"))
	conversation := alice.send(bob, "1").Message.ConversationID
	alice.sendFile(conversation, file)
	alice.send(bob, "3")
	bob.ack("phone", 3, 3)
	backup()
	later := alice.send(bob, "4, which is lost")
	s.server.Restart() // killed: the ids run ahead of the clock by what was reserved
	for n := 5; n <= 8; n++ {
		later = alice.send(bob, strconv.Itoa(n))
	}
	bob.ack("phone", 8, 8)
	phone := bob.openLive("phone")
	held := bob.page(7, 1).Entries[0]
	restore()
	if running {
		phone.endsWith(4010)
	}

	// The device that holds what is gone: by its next ack, pull, or connection.
	eight := int64(8)
	_, err := bob.Ack(within(t, patience), client.Ack{DeviceID: "phone", UpTo: &eight, UpToID: held.Message.MessageID})
	lost(t, err, 3)
	_, err = bob.Sync(within(t, patience), client.Pull{DeviceID: "phone", After: 8, AfterID: held.Message.MessageID})
	lost(t, err, 3)
	line := bob.open(client.Dial{Device: "phone", LastSeq: &eight, LastID: held.Message.MessageID})
	if !line.hello.Reset || line.hello.Acked != 3 || line.hello.Head != 3 {
		t.Fatalf("hello is %s, want a reset to 3 of 3", line.hello.Raw)
	}
	line.synced(3)

	// What was gone comes again by its sender, who has it still, at other ids; and so does everything.
	for n := 4; n <= 9; n++ {
		sent := alice.sendDraft(client.Text(bob.id(), uuid.NewString(), strconv.Itoa(n)))
		if sent.Message.ConversationSeq != int64(n) || !after(t, sent.Message.MessageID, later.Message.MessageID) {
			t.Fatalf("got message %s at %d, want one above %s at %d", sent.Message.MessageID, sent.Message.ConversationSeq, later.Message.MessageID, n)
		}
	}
	line.pushes(4, 9)
	// The seq exists again, under another message: an id beside it is what tells.
	_, err = bob.Ack(within(t, patience), client.Ack{DeviceID: "phone", UpTo: &eight, UpToID: held.Message.MessageID})
	lost(t, err, 9)
	bob.ack("phone", 9, 9)
	bob.sees(file.FileID, []byte("kept"))
}

// after says whether an id is higher than another.
func after(t *testing.T, one, other client.MessageID) bool {
	t.Helper()
	a, err := strconv.ParseInt(string(one), 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	b, err := strconv.ParseInt(string(other), 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	return a > b
}
