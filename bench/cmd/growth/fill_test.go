package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"ackbox/bench"
	"ackbox/client"
	"ackbox/internal/testenv"
)

func TestMain(m *testing.M) { testenv.Main(m) }

// sound are questions about the tables whose answers have no rows when each mailbox and conversation is as a server would have
// left it.
var sound = map[string]string{
	"a mailbox has a hole":            "SELECT user_id FROM mailboxes GROUP BY user_id HAVING MIN(seq) <> 1 OR MAX(seq) <> COUNT(*)",
	"a mailbox's head is wrong":       "SELECT h.user_id FROM mailbox_heads h LEFT JOIN (SELECT user_id, MAX(seq) AS top FROM mailboxes GROUP BY user_id) b ON b.user_id = h.user_id WHERE h.head <> COALESCE(b.top, 0)",
	"an entry names no message":       "SELECT b.seq FROM mailboxes b LEFT JOIN messages m ON m.conversation_id = b.conversation_id AND m.conversation_seq = b.conversation_seq WHERE m.id IS NULL OR m.id <> b.message_id OR m.sender_id <> b.sender_id",
	"a member got not each message":   "SELECT p.user_id FROM members p JOIN conversations c ON c.id = p.conversation_id LEFT JOIN mailboxes b ON b.user_id = p.user_id AND b.conversation_id = p.conversation_id GROUP BY p.conversation_id, p.user_id HAVING COUNT(b.seq) <> MAX(c.head)",
	"an entry is a stranger's":        "SELECT b.seq FROM mailboxes b LEFT JOIN members p ON p.conversation_id = b.conversation_id AND p.user_id = b.user_id WHERE p.user_id IS NULL",
	"a conversation has a hole":       "SELECT conversation_id FROM messages GROUP BY conversation_id HAVING MIN(conversation_seq) <> 1 OR MAX(conversation_seq) <> COUNT(*)",
	"a conversation's head is wrong":  "SELECT c.id FROM conversations c LEFT JOIN (SELECT conversation_id, MAX(conversation_seq) AS top FROM messages GROUP BY conversation_id) m ON m.conversation_id = c.id WHERE c.head <> COALESCE(m.top, 0)",
	"a pair is not its members":       "SELECT c.id FROM conversations c LEFT JOIN members p ON p.conversation_id = c.id GROUP BY c.id HAVING COUNT(*) <> 2 OR MIN(p.user_id) <> MAX(c.low_user_id) OR MAX(p.user_id) <> MAX(c.high_user_id)",
	"a sender's own entry is another": "SELECT m.id FROM messages m LEFT JOIN mailboxes b ON b.user_id = m.sender_id AND b.seq = m.sender_seq WHERE b.message_id IS NULL OR b.message_id <> m.id",
	"a message has no key":            "SELECT m.id FROM messages m LEFT JOIN send_keys k ON k.sender_id = m.sender_id AND k.client_msg_id = m.client_msg_id WHERE k.message_id IS NULL OR k.message_id <> m.id",
	"a key has no message":            "SELECT k.message_id FROM send_keys k LEFT JOIN messages m ON m.id = k.message_id WHERE m.id IS NULL",
	"a message is before the last":    "SELECT a.id FROM messages a JOIN messages b ON b.conversation_id = a.conversation_id AND b.conversation_seq = a.conversation_seq + 1 WHERE b.id <= a.id",
	"a device is beyond its mailbox":  "SELECT d.user_id FROM devices d JOIN mailbox_heads h ON h.user_id = d.user_id WHERE d.acked_seq > h.head",
	"a member is beyond the head":     "SELECT p.user_id FROM members p JOIN conversations c ON c.id = p.conversation_id WHERE p.read_seq > c.head OR p.delivered_seq > c.head",
}

func checkSound(t *testing.T, db *sql.DB) {
	t.Helper()
	for what, question := range sound {
		var first int64
		err := db.QueryRowContext(t.Context(), question+" LIMIT 1").Scan(&first)
		switch {
		case err == nil:
			t.Errorf("%s: %d", what, first)
		case !errors.Is(err, sql.ErrNoRows):
			t.Errorf("%s: %v", what, err)
		}
	}
}

func count(t *testing.T, db *sql.DB, table string) (n int) {
	t.Helper()
	if err := db.QueryRowContext(t.Context(), "SELECT COUNT(*) FROM "+table).Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

// What was filled in is what the server would have made: it can be read, and gone on with, through the server.
func TestFilledPeopleGoOn(t *testing.T) {
	dsn, redisURL := testenv.MySQL(t), testenv.Redis(t)
	server := testenv.StartServer(t, testenv.Binary(t), "ACKBOX_MYSQL_DSN="+dsn, "ACKBOX_REDIS_URL="+redisURL,
		"ACKBOX_JWT_SECRET="+rand.Text()+rand.Text(), "ACKBOX_RATE_LIMIT=off")
	db, redis, err := clients([]string{"ACKBOX_MYSQL_DSN=" + dsn, "ACKBOX_REDIS_URL=" + redisURL})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := redis.Close(); err != nil {
			t.Error(err)
		}
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	p := &population{}
	if p.era, err = newEra(time.Now()); err != nil {
		t.Fatal(err)
	}
	const users = 100
	if err := p.fill(t.Context(), db, users, 2, &bytes.Buffer{}); err != nil {
		t.Fatal(err)
	}
	if p.size() != users {
		t.Fatalf("got %d people", p.size())
	}
	want := map[string]int{"users": users, "mailbox_heads": users, "devices": users, "conversations": users * userDirects, "members": 2 * users * userDirects,
		"messages": users * userMessages, "send_keys": users * userMessages, "mailboxes": users * userEntries}
	rows := 0
	for table, n := range want {
		if got := count(t, db, table); got != n {
			t.Errorf("%s has %d rows, want %d", table, got, n)
		}
		rows += n
	}
	if rows != users*fillRows {
		t.Errorf("a user comes to %d rows, the progress counts with %d", rows/users, fillRows)
	}
	checkSound(t, db)

	const each = 5
	chosen := []int{0, 1, 40, 99}
	contacts, err := p.contacts(chosen, each, 0)
	if err != nil {
		t.Fatal(err)
	}
	if err := p.insertContacts(t.Context(), db, contacts); err != nil {
		t.Fatal(err)
	}
	passes, err := p.passes(t.Context(), db, chosen, 0, contacts)
	if err != nil {
		t.Fatal(err)
	}
	checkSound(t, db)
	c := client.New(server.URL)
	t.Cleanup(c.Close)
	for i, pass := range passes {
		s, err := c.Refresh(t.Context(), pass.Refresh)
		if err != nil {
			t.Fatalf("%s: %v", pass.Name, err)
		}
		id, _ := p.person(chosen[i])
		if string(s.User.UserID) != fmt.Sprint(id) {
			t.Errorf("%s is %s, want %d", pass.Name, s.User.UserID, id)
		}
		if len(pass.Contacts) != each {
			t.Errorf("%s has %d contacts, want %d", pass.Name, len(pass.Contacts), each)
		}
		readPerson(t, p, s, chosen[i])
	}

	// The load itself, half of it into the conversations of people who are not there.
	o := bench.Options{
		URL: []string{server.URL}, Clients: len(chosen), SetupParallel: 4, Duration: 2 * time.Second, Settle: 15 * time.Second, Timeout: 10 * time.Second,
		Rate: 100, Text: 64, Connections: 1, IdleUsers: 1, Groups: 1, GroupSize: 2, LogMembers: 2, LogSingles: 1, LogSpacing: time.Second, LogBursts: 1, LogBurst: 1,
		LogAckDelay: time.Second, Waiting: 1, FillGroup: 3, ReconnectClients: 2, ReconnectLimit: time.Second, SlowSockets: 2, SlowRate: 1, SlowText: 1, SlowRounds: 1, AckDevices: 1,
	}
	if passes, err = p.passes(t.Context(), db, chosen, len(chosen), contacts); err != nil {
		t.Fatal(err)
	}
	adopted, err := bench.Adopt(t.Context(), o, 0, passes)
	if err != nil {
		t.Fatal(err)
	}
	o.Accounts = bench.NewAccounts(adopted, nil)
	before := map[string]int{}
	for _, table := range []string{"conversations", "messages", "users"} {
		before[table] = count(t, db, table)
	}
	reports, err := bench.Measure(t.Context(), o, []string{"send"}, 1, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := reports[0].Err(); err != nil || len(reports[0].Errors) > 0 {
		t.Errorf("got %v, errors %v", err, reports[0].Errors)
	}
	if sent, _ := reports[0].Value("sent"); sent < 1 || count(t, db, "messages") != before["messages"]+int(sent) {
		t.Errorf("%v were sent, messages were %d and are %d", sent, before["messages"], count(t, db, "messages"))
	}
	if after := count(t, db, "conversations"); after != before["conversations"] {
		t.Errorf("%d conversations were made by sending: those that were filled in were not found", after-before["conversations"])
	}
	var written int
	if err := db.QueryRowContext(t.Context(), "SELECT COUNT(*) FROM conversations c WHERE c.head > 0 AND (c.id & 4095) >= ?", contactIDs).Scan(&written); err != nil || written == 0 {
		t.Errorf("%d conversations of contacts were written to (%v)", written, err)
	}
	var late int
	if err := db.QueryRowContext(t.Context(), "SELECT COUNT(*) FROM messages m WHERE m.conversation_seq > ? AND m.id < (SELECT MAX(id) FROM messages WHERE (id & 4095) = ? AND ((id >> 12) & 1023) = ?)", rounds, messageIDs, idNode).Scan(&late); err != nil || late > 0 {
		t.Errorf("%d of the server's ids are before those filled in (%v)", late, err)
	}
	checkSound(t, db)
}

// readPerson reads what a person has through the server.
func readPerson(t *testing.T, p *population, s *client.Session, n int) {
	t.Helper()
	page, err := s.Mailbox(t.Context(), 0, 200)
	if err != nil {
		t.Fatal(err)
	}
	if page.Head != userEntries || len(page.Entries) != userEntries || page.HasMore {
		t.Fatalf("person %d: %d entries, head %d", n, len(page.Entries), page.Head)
	}
	seen := map[client.ConversationID]int64{}
	for i, e := range page.Entries {
		m := e.Message
		if e.Seq != int64(i+1) {
			t.Errorf("person %d: entry %d has seq %d", n, i, e.Seq)
		}
		if m.ConversationSeq != seen[m.ConversationID]+1 {
			t.Errorf("person %d: conversation %s goes from %d to %d", n, m.ConversationID, seen[m.ConversationID], m.ConversationSeq)
		}
		seen[m.ConversationID] = m.ConversationSeq
		if text, ok := m.Body["text"].(string); m.Type != "text" || !ok || len(text) != 64 || m.CreatedAt.After(time.Now()) || m.CreatedAt.Year() < 2026 {
			t.Errorf("person %d: entry %d is %+v", n, i, m)
		}
	}
	summary, err := s.Summary(t.Context(), "phone")
	if err != nil || summary.Pending != 0 || summary.Acked != userEntries {
		t.Errorf("person %d: the phone has %+v (%v)", n, summary, err)
	}
	_, known := p.person(n)
	var want, got []string
	for _, k := range known {
		id, _ := p.person(k)
		want = append(want, fmt.Sprint(id))
	}
	list, err := s.Conversations(t.Context(), "", 200)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range list.Conversations {
		if c.Head == 0 { // of a contact
			continue
		}
		got = append(got, string(c.PeerID))
		if c.Head != rounds || c.Unread != 0 || c.Kind != "direct" || c.MemberCount != 2 {
			t.Errorf("person %d: conversation %+v", n, c)
		}
		history, err := s.After(t.Context(), c.ConversationID, 0)
		if err != nil || len(history.Messages) != rounds {
			t.Errorf("person %d: history of %s has %d messages (%v)", n, c.ConversationID, len(history.Messages), err)
		}
	}
	slices.Sort(want)
	slices.Sort(got)
	if !slices.Equal(want, got) {
		t.Errorf("person %d has conversations with %v, want %v", n, got, want)
	}
}

// A fill that is broken off says so and counts nothing.
func TestFillBrokenOff(t *testing.T) {
	e, err := newEra(time.Now())
	if err != nil {
		t.Fatal(err)
	}
	db, redis, err := clients([]string{"ACKBOX_MYSQL_DSN=" + testenv.MySQL(t), "ACKBOX_REDIS_URL=redis://127.0.0.1:1/0"})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := redis.Close(); err != nil {
			t.Error(err)
		}
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	}()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	p := &population{era: e}
	if err := p.fill(ctx, db, 100, 2, &bytes.Buffer{}); err == nil || p.size() != 0 {
		t.Errorf("got %v with %d people", err, p.size())
	}
	if err := p.fill(t.Context(), db, 100, 2, &bytes.Buffer{}); err == nil || !strings.Contains(err.Error(), "users") || p.size() != 0 {
		t.Errorf("without tables got %v with %d people", err, p.size())
	}
}
