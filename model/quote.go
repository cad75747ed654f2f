package model

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"strconv"
)

// MaxQuote bounds a quote's text in characters (Unicode code points).
const MaxQuote = 120

// Quote is what a reply shows of the message that it answers. It is kept nowhere: it is
// read from that message each time, so a recall empties it too.
type Quote struct {
	MessageID       MessageID   `json:"message_id"`
	ConversationSeq int64       `json:"conversation_seq"`
	SenderID        UserID      `json:"sender_id"`
	Type            MessageType `json:"type"`
	Text            string      `json:"text"` // how a text begins, or a file's name; else empty
	Recalled        bool        `json:"recalled"`
}

// quoteEnd is how a message's encoding ends when it has a quote with content: the quote
// is its last field, and nothing before it that a user wrote is.
const quoteEnd = `,"recalled":false}}`

func (q *Quote) appendJSON(b []byte) []byte {
	b = append(b, `{"message_id":"`...)
	b = strconv.AppendInt(b, int64(q.MessageID), 10)
	b = append(b, `","conversation_seq":`...)
	b = strconv.AppendInt(b, q.ConversationSeq, 10)
	b = append(b, `,"sender_id":"`...)
	b = strconv.AppendInt(b, int64(q.SenderID), 10)
	b = append(b, `","type":`...)
	b = appendString(b, string(q.Type))
	b = append(b, `,"text":`...)
	b = appendString(b, q.Text)
	b = append(b, `,"recalled":`...)
	b = strconv.AppendBool(b, q.Recalled)
	return append(b, '}')
}

// EmptyQuote is a message's encoding (of AppendJSON) without the quote's content when gone says
// of the quoted message's id that it was recalled. Else it is the encoding as it is.
func EmptyQuote(message []byte, gone func(id string) bool) []byte {
	if !bytes.HasSuffix(message, []byte(quoteEnd)) {
		return message
	}
	const start = `,"quote":{"message_id":"`
	at := bytes.LastIndex(message, []byte(start)) // in a text the quotation marks are escaped
	if at < 0 {
		return message
	}
	rest := message[at+len(start):]
	end := bytes.IndexByte(rest, '"')
	text := bytes.Index(rest, []byte(`,"text":`))
	if end < 0 || text < 0 || !gone(string(rest[:end])) {
		return message
	}
	empty := append(make([]byte, 0, len(message)), message[:at+len(start)+text]...)
	return append(empty, `,"text":"","recalled":true}}`...)
}

// quotes says whether the message shows what it answers: a recalled one has no content of
// any kind, and a recall only names its target.
func (m *Message) quotes() bool {
	return m.ReplyTo != 0 && m.RecalledAt == 0 && !m.DeletedForMe && m.Type != TypeRecall
}

// FillQuotes gives replies the quotes of what they answer, as it is now. Without replies in the
// list it asks the database nothing.
func (s *Store) FillQuotes(ctx context.Context, list []*Message) error {
	var targets []MessageID
	found := map[MessageID]*Quote{}
	for _, m := range list {
		if !m.quotes() {
			continue
		}
		if _, twice := found[m.ReplyTo]; !twice {
			found[m.ReplyTo] = nil
			targets = append(targets, m.ReplyTo)
		}
	}
	err := chunks(targets, s.rows(rowsPerStatement), func(part []MessageID) error {
		rows, err := s.read(ctx).Raw("SELECT id, conversation_seq, sender_id, type, recalled_at <> 0, CASE WHEN type IN ('text', 'image', 'file', 'audio', 'video') THEN body ELSE '{}' END FROM messages WHERE id IN ?", part).Rows()
		if err != nil {
			return fmt.Errorf("read quoted messages: %w", err)
		}
		_, err = scanAll(rows, func(r *sql.Rows) (struct{}, error) {
			q, err := scanQuote(r)
			if err == nil {
				found[q.MessageID] = q
			}
			return struct{}{}, err
		})
		return err
	})
	if err != nil {
		return err
	}
	for _, m := range list {
		if m.quotes() {
			m.Quote = found[m.ReplyTo]
		}
	}
	return nil
}

func scanQuote(r *sql.Rows) (*Quote, error) {
	q := new(Quote)
	var body string
	if err := r.Scan(&q.MessageID, &q.ConversationSeq, &q.SenderID, &q.Type, &q.Recalled, &body); err != nil {
		return nil, fmt.Errorf("scan quoted message: %w", err)
	}
	if q.Recalled {
		return q, nil
	}
	var content map[string]any // of a file only the known fields are of a known type, and "NAME" is not known
	if err := json.Unmarshal([]byte(body), &content); err != nil {
		return nil, fmt.Errorf("body of message %d: %w", q.MessageID, err)
	}
	field := "name"
	if q.Type == TypeText {
		field = "text"
	}
	if text, is := content[field].(string); is {
		q.Text = beginning(text)
	}
	return q, nil
}

// beginning is the first MaxQuote characters.
func beginning(text string) string {
	n := 0
	for i := range text {
		if n == MaxQuote {
			return text[:i]
		}
		n++
	}
	return text
}

// quoted fills the quotes of what a query has found.
func (s *Store) quoted(ctx context.Context, list []*Message, err error) ([]*Message, error) {
	if err != nil {
		return nil, err
	}
	return list, s.FillQuotes(ctx, list)
}
