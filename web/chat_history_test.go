package web_test

import (
	"database/sql"
	"net/url"
	"path/filepath"
	"strconv"
	"testing"

	"github.com/glebarez/sqlite"

	"ackbox/client"
	"ackbox/internal/testenv"
)

// longMessages is how many messages the conversation of longHistory has; the browser's test counts them.
const longMessages = 10_000

// longHistory makes a server's data folder in which "reader" and "writer" have a long conversation that both have read,
// a message every half a minute. The messages are written into the database: sending them would take longer than all
// else in the test.
func longHistory(t *testing.T) string {
	t.Helper()
	server := testenv.StartServer(t, testenv.Binary(t), "ACKBOX_MAILBOX_GROUP_LIMIT=1", "ACKBOX_RATE_LIMIT=off")
	c := client.New(server.URL)
	defer c.Close()
	reader, err := c.Register(t.Context(), client.Credentials{Username: "reader", Password: "correct horse battery", DisplayName: "Reader"})
	if err != nil {
		t.Fatal(err)
	}
	writer, err := c.Register(t.Context(), client.Credentials{Username: "writer", Password: "correct horse battery", DisplayName: "Writer"})
	if err != nil {
		t.Fatal(err)
	}
	group, _, err := writer.CreateGroup(t.Context(), "Long history", reader.User.UserID)
	if err != nil || group.Delivery != "log" || group.Head != 1 {
		t.Fatalf("the group is %+v, %v", group, err)
	}
	if err := server.Terminate(); err != nil {
		t.Fatal(err)
	}
	db, err := sql.Open(sqlite.DriverName, "file:"+(&url.URL{Path: filepath.Join(server.Dir(), "ackbox.db")}).EscapedPath())
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	}()
	id, err := strconv.ParseInt(string(group.ConversationID), 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	// The notice that the group was made is number 1.
	for _, step := range []struct {
		query string
		args  []any
	}{
		{`INSERT INTO messages (conversation_id, conversation_seq, id, sender_id, client_msg_id, type, body, ext, created_at)
			WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?)
			SELECT c.id, i + 1, c.id - 100000 + i, CASE WHEN i % 5 = 0 THEN ? ELSE ? END, 'old-' || i, 'text',
				json_object('text', 'number ' || i || '.' || CASE WHEN i % 7 = 0 THEN replace(hex(zeroblob(40)), '00', ' and more words') ELSE '' END),
				'{}', c.created_at + 30000 * (i - ?)
			FROM n JOIN conversations c ON c.id = ?`, []any{longMessages, reader.User.UserID, writer.User.UserID, longMessages, id}},
		{`UPDATE conversations SET head = ? WHERE id = ?`, []any{longMessages + 1, id}},
		{`UPDATE members SET delivered_seq = ?, read_seq = ? WHERE conversation_id = ?`, []any{longMessages + 1, longMessages + 1, id}},
	} {
		if _, err := db.ExecContext(t.Context(), step.query, step.args...); err != nil {
			t.Fatal(err)
		}
	}
	return server.Dir()
}
