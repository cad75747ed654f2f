package verify

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"strconv"

	"ackbox/client"
)

// Hash stands for a message's content: type, body and ext. It is never 0.
type Hash uint64

// MarshalText writes it in hexadecimal: JSON's numbers lose bits elsewhere.
func (h Hash) MarshalText() ([]byte, error) { return fmt.Appendf(nil, "%016x", uint64(h)), nil }

// UnmarshalText reads what MarshalText wrote.
func (h *Hash) UnmarshalText(text []byte) error {
	n, err := strconv.ParseUint(string(text), 16, 64)
	if err != nil {
		return fmt.Errorf("hash: %w", err)
	}
	*h = Hash(n)
	return nil
}

// Content hashes a message's content. Bodies that are the same JSON have the same hash; nil and {} are the same.
func Content(kind string, body, ext map[string]any) Hash {
	if body == nil {
		body = map[string]any{}
	}
	if ext == nil {
		ext = map[string]any{}
	}
	encoded, err := json.Marshal([]any{kind, body, ext})
	if err != nil {
		// A body that is no JSON was never sent; the hash of the reason equals no message's.
		encoded = []byte(err.Error())
	}
	sum := sha256.Sum256(encoded)
	return Hash(binary.BigEndian.Uint64(sum[:])) | 1
}

// Sight is a message as somebody was shown it, or as a table holds it.
type Sight struct {
	Seq             int64                 `json:"seq,omitempty"` // in the mailbox; 0 outside of one
	Message         client.MessageID      `json:"message"`
	Conversation    client.ConversationID `json:"conversation"`
	ConversationSeq int64                 `json:"conversation_seq"`
	Sender          client.UserID         `json:"sender"`
	Key             string                `json:"key,omitempty"`
	Type            string                `json:"type"`
	Hash            Hash                  `json:"hash"`
	Recalled        bool                  `json:"recalled,omitempty"`
	Notice          *Notice               `json:"notice,omitempty"` // of a notice
	Target          client.MessageID      `json:"target,omitempty"` // of a recall: the message that was taken back
}

// Notice is what a notice says about a group's members.
type Notice struct {
	Event string          `json:"event"`
	Users []client.UserID `json:"users,omitempty"`
}

// See makes a sight of a message; seq is 0 outside of a mailbox.
func See(seq int64, m client.Message) Sight {
	s := Sight{
		Seq: seq, Message: m.MessageID, Conversation: m.ConversationID, ConversationSeq: m.ConversationSeq,
		Sender: m.SenderID, Key: m.ClientMsgID, Type: m.Type, Hash: Content(m.Type, m.Body, m.Ext), Recalled: m.RecalledAt != nil,
	}
	switch m.Type {
	case "notice":
		s.Notice = &Notice{Event: text(m.Body["event"]), Users: userIDs(m.Body["user_ids"])}
	case "recall":
		s.Target = client.MessageID(text(m.Body["message_id"]))
	}
	return s
}

func text(v any) string {
	s, _ := v.(string) // what is no text is none
	return s
}

func userIDs(v any) []client.UserID {
	list, _ := v.([]any) // what is no list is none
	ids := make([]client.UserID, 0, len(list))
	for _, id := range list {
		ids = append(ids, client.UserID(text(id)))
	}
	return ids
}

// written says whether users write messages of the sight's type; the server writes the others.
func (s Sight) written() bool { return s.Type != "notice" && s.Type != "recall" }

// empty says whether the content is gone.
func (s Sight) empty() bool { return s.Hash == Content(s.Type, nil, nil) }

func (s Sight) String() string {
	where := fmt.Sprintf("%s/%d", s.Conversation, s.ConversationSeq)
	if s.Seq != 0 {
		where = fmt.Sprintf("seq %d, %s", s.Seq, where)
	}
	return fmt.Sprintf("message %s (%s, %s of %s, key %s)", s.Message, where, s.Type, s.Sender, s.Key)
}
