package bench

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"
)

// addMembers is how many members the contract lets one call add.
const addMembers = 500

// Group runs the closed loop over groups whose messages are copied into each member's mailbox: every user sends to the
// groups that they are in, in turn, as fast as the answers come, and every message is pushed to all members of its group.
func Group(ctx context.Context, o Options, users []*User, groups []Party) (*Report, error) {
	r := newRooms(o, users, groups)
	return r.measure(ctx, "group", r.closedLoop)
}

// Party is a group with its members; the first is its owner.
type Party struct {
	ID      string
	members []*User
	head    int64 // highest conversation_seq when it was last read
	log     bool  // delivered by log, not by mailbox
}

// read asks the service where the group stands.
func (p *Party) read(ctx context.Context, o Options) error {
	owner := p.members[0]
	c := newConn(ctx, owner.target, o.Timeout)
	defer c.Close()
	a, err := c.Do("GET", "/v1/groups/"+p.ID, owner.access, nil)
	if err == nil && a.Status != 200 {
		err = errors.New(label(a))
	}
	var got struct {
		Head     int64  `json:"head"`
		Delivery string `json:"delivery"`
	}
	if err == nil {
		err = json.Unmarshal(a.Body, &got)
	}
	if err != nil {
		return fmt.Errorf("read a group: %w", err)
	}
	p.head, p.log = got.Head, got.Delivery == "log"
	return nil
}

// gather makes the groups: with n users, the members of the g-th are those from g × size on, going round.
func gather(ctx context.Context, o Options, users []*User) ([]Party, error) {
	if o.GroupSize > len(users) {
		return nil, fmt.Errorf("group-size: %d members are more than the %d clients", o.GroupSize, len(users))
	}
	groups := make([]Party, o.Groups)
	for g := range groups {
		members := make([]*User, o.GroupSize)
		for i := range members {
			members[i] = users[(g*o.GroupSize+i)%len(users)]
		}
		var err error
		if groups[g], err = makeGroup(ctx, o, members, func(int) {}); err != nil {
			return nil, err
		}
		if groups[g].log {
			return nil, fmt.Errorf("group-size: the service delivers a group of %d by log, not by mailbox", o.GroupSize)
		}
	}
	return groups, nil
}

// makeGroup makes one group of all members, at most addMembers a call, and tells how many it has so far.
func makeGroup(ctx context.Context, o Options, members []*User, grown func(int)) (Party, error) {
	owner := members[0]
	c := newConn(ctx, owner.target, o.Timeout)
	defer c.Close()
	var got struct {
		ConversationID string `json:"conversation_id"`
	}
	have := 1
	for part := range slices.Chunk(members[1:], addMembers) {
		asked := map[string]any{"member_ids": ids(part)}
		path, want := "/v1/groups", 201
		if have == 1 {
			asked["name"] = "bench"
		} else {
			path, want = "/v1/groups/"+got.ConversationID+"/members", 204
		}
		body, err := json.Marshal(asked)
		if err != nil {
			return Party{}, err
		}
		a, err := c.Do("POST", path, owner.access, body)
		if err == nil && a.Status != want {
			err = fmt.Errorf("%s: %.300s", label(a), a.Body)
		}
		if err == nil && have == 1 {
			err = json.Unmarshal(a.Body, &got)
		}
		if err != nil {
			return Party{}, fmt.Errorf("make a group of %d, at %d: %w", len(members), have, err)
		}
		have += len(part)
		grown(have)
	}
	party := Party{ID: got.ConversationID, members: members}
	err := party.read(ctx, o)
	return party, err
}

func ids(users []*User) []string {
	list := make([]string, len(users))
	for i, u := range users {
		list[i] = u.ID
	}
	return list
}

// newRooms makes a run in which every user sends to their groups in turn.
func newRooms(o Options, users []*User, groups []Party) *run {
	r := newRun(o)
	checks := make(map[*User]*seats, len(users))
	senders := make(map[*User]*sender, len(users))
	for _, u := range users {
		checks[u] = &seats{byRoom: map[string]*seat{}}
		senders[u] = &sender{run: r, user: u}
	}
	for _, g := range groups {
		m := &room{id: g.ID}
		r.accounts = append(r.accounts, m)
		for _, u := range g.members {
			checks[u].byRoom[g.ID] = m.sit(r, 0)
			senders[u].aims = append(senders[u].aims, aim{field: `"conversation_id":"` + g.ID + `"`, account: m})
		}
	}
	for _, u := range users {
		r.sessions = append(r.sessions, newSession(r, u, checks[u]))
		if s := senders[u]; len(s.aims) > 0 { // else the groups are fewer than the users
			r.senders = append(r.senders, s)
		}
	}
	return r
}

// seats checks what one user gets from all their groups.
type seats struct{ byRoom map[string]*seat }

func (s *seats) show(entry []byte, now time.Duration) {
	id, ok := rawString(entry, `"conversation_id"`)
	if !ok {
		return
	}
	seat := s.byRoom[string(id)]
	seq, ok := uintField(entry, `"conversation_seq"`)
	if seat != nil && ok {
		seat.take(seq, entry, now)
	}
}
