package verify

import (
	"math"

	"ackbox/client"
)

// stay is one time in a conversation: from the notice of joining to before the notice of leaving.
type stay struct{ from, to int64 }

// membership is who belonged to a conversation at which conversation_seq, by what the conversation itself tells.
type membership struct {
	known bool // all of it: the conversation was read from its beginning
	stays map[client.UserID][]stay
}

func newMembership(c Conversation) *membership {
	m := &membership{stays: map[client.UserID][]stay{}}
	if c.Kind == "direct" {
		m.known = len(c.Users) > 0
		for _, user := range c.Users {
			m.enter(user, 0)
		}
		return m
	}
	for i := range c.Messages {
		s := &c.Messages[i]
		if s.Notice == nil {
			continue
		}
		switch s.Notice.Event {
		case "group_created":
			m.known = true
			m.enter(s.Sender, s.ConversationSeq)
			fallthrough
		case "members_added":
			for _, user := range s.Notice.Users {
				m.enter(user, s.ConversationSeq)
			}
		case "member_removed", "member_left":
			for _, user := range s.Notice.Users {
				m.exit(user, s.ConversationSeq)
			}
		default:
		}
	}
	return m
}

func (m *membership) enter(user client.UserID, seq int64) {
	if !m.in(user, seq) {
		m.stays[user] = append(m.stays[user], stay{seq, math.MaxInt64})
	}
}

func (m *membership) exit(user client.UserID, seq int64) {
	if m.in(user, seq) {
		m.stays[user][len(m.stays[user])-1].to = seq
	}
}

// in says whether the message at seq is for the user.
func (m *membership) in(user client.UserID, seq int64) bool {
	for _, s := range m.stays[user] {
		if s.from <= seq && seq < s.to {
			return true
		}
	}
	return false
}

// now is where the user's present stay began, or 0.
func (m *membership) now(user client.UserID) int64 {
	stays := m.stays[user]
	if len(stays) == 0 || stays[len(stays)-1].to != math.MaxInt64 {
		return 0
	}
	return stays[len(stays)-1].from
}

// begin is where the user's latest stay began, or 0.
func (m *membership) begin(user client.UserID) int64 {
	if stays := m.stays[user]; len(stays) > 0 {
		return stays[len(stays)-1].from
	}
	return 0
}

// left says whether the user has ever left.
func (m *membership) left(user client.UserID) bool {
	stays := m.stays[user]
	return len(stays) > 0 && stays[0].to != math.MaxInt64
}
