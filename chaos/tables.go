package chaos

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"ackbox/client"
	"ackbox/verify"
)

// Tables reads what the store holds of these people, past the nodes: their mailboxes, and every conversation that any of
// them is or was in.
func (d *Deployment) Tables(ctx context.Context, people []client.UserID) (verify.Tables, error) {
	t := verify.Tables{Conversations: map[client.ConversationID]verify.Conversation{}, Mailboxes: map[client.UserID]verify.Mailbox{}}
	r := &reader{ctx: ctx, db: d.admin}
	if d.MariaDB != nil {
		r.schema = database + "."
	}
	in := "(" + list(people) + ")"
	byID := map[client.MessageID]verify.Sight{}

	conversations := "(SELECT conversation_id FROM $members WHERE user_id IN " + in + ")"
	r.each("SELECT id, kind, delivery, head, COALESCE(low_user_id, 0), COALESCE(high_user_id, 0) FROM $conversations WHERE id IN "+conversations, func(scan func(...any)) {
		c := verify.Conversation{From: 1}
		var id client.ConversationID
		var low, high client.UserID
		scan((*string)(&id), &c.Kind, &c.Delivery, &c.Head, (*string)(&low), (*string)(&high))
		if c.Kind == "direct" {
			c.Users = []client.UserID{low, high}
		}
		t.Conversations[id] = c
	})
	r.each("SELECT conversation_id, conversation_seq, id, sender_id, client_msg_id, type, body, ext, recalled_at FROM $messages WHERE conversation_id IN "+conversations+
		" ORDER BY conversation_id, conversation_seq", func(scan func(...any)) {
		var m client.Message
		var body, ext string
		var recalled int64
		scan((*string)(&m.ConversationID), &m.ConversationSeq, (*string)(&m.MessageID), (*string)(&m.SenderID), &m.ClientMsgID, &m.Type, &body, &ext, &recalled)
		r.decode(body, &m.Body)
		r.decode(ext, &m.Ext)
		sight := verify.See(0, m)
		sight.Recalled = recalled != 0
		byID[m.MessageID] = sight
		c := t.Conversations[m.ConversationID]
		c.Messages = append(c.Messages, sight)
		t.Conversations[m.ConversationID] = c
	})
	r.each("SELECT conversation_id, user_id, delivered_seq, read_seq FROM $members WHERE left_seq = 0 AND conversation_id IN "+conversations, func(scan func(...any)) {
		var id client.ConversationID
		var at verify.Position
		scan((*string)(&id), (*string)(&at.User), &at.Delivered, &at.Read)
		c := t.Conversations[id]
		c.Positions = append(c.Positions, at)
		t.Conversations[id] = c
	})
	for _, id := range people { // who never got anything has no row
		t.Mailboxes[id] = verify.Mailbox{Floor: 1}
	}
	r.each("SELECT user_id, head, floor FROM $mailbox_heads WHERE user_id IN "+in, func(scan func(...any)) {
		var id client.UserID
		var box verify.Mailbox
		scan((*string)(&id), &box.Head, &box.Floor) // a floor of 0 is one that never rose
		t.Mailboxes[id] = box
	})
	r.each("SELECT user_id, seq, message_id FROM $mailboxes WHERE user_id IN "+in+" ORDER BY user_id, seq", func(scan func(...any)) {
		var id client.UserID
		var message client.MessageID
		var seq int64
		scan((*string)(&id), &seq, (*string)(&message))
		sight, known := byID[message]
		if !known { // an entry of no message: the checker shall see it
			sight = verify.Sight{Message: message}
		}
		sight.Seq = seq
		box := t.Mailboxes[id]
		box.Entries = append(box.Entries, sight)
		t.Mailboxes[id] = box
	})
	if r.err != nil {
		return verify.Tables{}, fmt.Errorf("read the tables: %w", r.err)
	}
	return t, nil
}

// Deadlocks is how many deadlocks the database has broken since it started; 0 with SQLite, which has none.
func (d *Deployment) Deadlocks(ctx context.Context) (n int, err error) {
	if d.MariaDB == nil {
		return 0, nil
	}
	var name string
	if err := d.admin.QueryRowContext(ctx, "SHOW GLOBAL STATUS LIKE 'Innodb_deadlocks'").Scan(&name, &n); err != nil {
		return 0, fmt.Errorf("count deadlocks: %w", err)
	}
	return n, nil
}

// Damage is what MariaDB finds wrong with its own tables: what a crash recovery has broken is not the product's to keep. Empty
// when they are whole, and with SQLite.
func (d *Deployment) Damage(ctx context.Context) (found []string, err error) {
	if d.MariaDB == nil {
		return nil, nil
	}
	rows, err := d.admin.QueryContext(ctx, strings.ReplaceAll("CHECK TABLE $messages, $mailboxes, $mailbox_heads, $send_keys, $conversations, $members, $devices EXTENDED", "$", database+"."))
	if err != nil {
		return nil, fmt.Errorf("check MariaDB's tables: %w", err)
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	for rows.Next() {
		var table, op, kind, text string
		if err := rows.Scan(&table, &op, &kind, &text); err != nil {
			return nil, fmt.Errorf("check MariaDB's tables: %w", err)
		}
		if text != "OK" {
			found = append(found, table+": "+text)
		}
	}
	return found, rows.Err()
}

// list writes ids, which are digits, for an IN.
func list(ids []client.UserID) string {
	texts := make([]string, len(ids))
	for i, id := range ids {
		texts[i] = string(id)
	}
	return strings.Join(texts, ",")
}

// reader reads rows and keeps the first error.
type reader struct {
	ctx    context.Context //nolint:containedctx // of one reading
	db     *sql.DB
	schema string
	err    error
}

func (r *reader) each(query string, row func(scan func(into ...any))) {
	if r.err != nil {
		return
	}
	rows, err := r.db.QueryContext(r.ctx, strings.ReplaceAll(query, "$", r.schema))
	if err != nil {
		r.err = err
		return
	}
	defer rows.Close()
	for rows.Next() && r.err == nil {
		row(func(into ...any) { r.err = errors.Join(r.err, rows.Scan(into...)) })
	}
	r.err = errors.Join(r.err, rows.Err())
}

func (r *reader) decode(text string, into *map[string]any) {
	if text != "" {
		r.err = errors.Join(r.err, json.Unmarshal([]byte(text), into))
	}
}
