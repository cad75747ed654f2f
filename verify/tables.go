package verify

import "ackbox/client"

// Tables are what the store holds in the end, read by API (see Cluster.Read) or by SQL. Absent conversations and mailboxes
// are not compared with.
type Tables struct {
	Conversations map[client.ConversationID]Conversation `json:"conversations"`
	Mailboxes     map[client.UserID]Mailbox              `json:"mailboxes"`
}

// Conversation is one conversation as stored.
type Conversation struct {
	Kind     string          `json:"kind"`            // direct or group
	Delivery string          `json:"delivery"`        // mailbox or log
	Users    []client.UserID `json:"users,omitempty"` // the two of a direct one; of a group the notices tell
	Head     int64           `json:"head"`            // highest conversation_seq given out
	// From is the lowest conversation_seq that the reader may see: 1 by SQL or for who was there from the beginning.
	From      int64      `json:"from"`
	Messages  []Sight    `json:"messages"` // ascending
	Positions []Position `json:"positions,omitempty"`
}

// Mailbox is one user's mailbox as stored.
type Mailbox struct {
	Head    int64   `json:"head"`
	Floor   int64   `json:"floor"`   // the oldest seq still kept; 0 and 1 mean that all are
	Entries []Sight `json:"entries"` // ascending
}
