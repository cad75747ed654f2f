package verify

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"time"

	"ackbox/client"
)

// world is a small server that keeps every promise, and the history that its clients would record.
type world struct {
	now     time.Duration
	call    int64
	ids     int64
	events  []Event
	rooms   map[client.ConversationID]*room
	boxes   map[client.UserID][]Sight
	devices []*phone
	sent    []Event // the ok of every accepted send
}

// room is a conversation.
type room struct {
	id        client.ConversationID
	kind      string
	log       bool
	messages  []Sight
	members   map[client.UserID]int64 // joined at
	delivered map[client.UserID]int64
	read      map[client.UserID]int64
}

// phone is a device.
type phone struct {
	user    client.UserID
	name    string
	conn    string // empty while it is offline
	held    int64
	acked   int64
	logs    map[client.ConversationID]int64
	started bool

	lost     bool // what it holds is of a store that was lost, above these:
	good     int64
	goodLogs map[client.ConversationID]int64
}

func newWorld(users int) *world {
	w := &world{rooms: map[client.ConversationID]*room{}, boxes: map[client.UserID][]Sight{}}
	for i := range users {
		for _, name := range []string{"phone", "laptop"}[:1+i%2] {
			p := &phone{user: userID(i), name: name, logs: map[client.ConversationID]int64{}}
			w.devices = append(w.devices, p)
			w.connect(p)
		}
	}
	return w
}

func userID(i int) client.UserID { return client.UserID(strconv.Itoa(100 + i)) }

func (w *world) add(e Event) Event {
	w.now += time.Millisecond
	e.At = w.now
	if e.Node == "" {
		e.Node = "http://a"
	}
	w.events = append(w.events, e)
	return e
}

func (w *world) invoke(e Event) Event {
	w.call++
	e.Phase, e.Call = Invoke, w.call
	return w.add(e)
}

func (w *world) end(e Event, phase Phase) Event {
	e.Phase = phase
	return w.add(e)
}

func (w *world) id() string {
	w.ids++
	return strconv.FormatInt(1000+w.ids, 10)
}

// store appends a message to a room, and to its members' mailboxes.
func (w *world) store(r *room, s Sight) Sight {
	s.Message, s.Conversation, s.ConversationSeq = client.MessageID(w.id()), r.id, int64(len(r.messages))+1
	r.messages = append(r.messages, s)
	if !r.log {
		for _, user := range slices.Sorted(maps.Keys(r.members)) {
			s.Seq = int64(len(w.boxes[user])) + 1
			w.boxes[user] = append(w.boxes[user], s)
		}
	}
	return s
}

// push brings everything that is new to the devices that are online.
func (w *world) push() {
	for _, p := range w.devices {
		if p.conn == "" {
			continue
		}
		for _, s := range w.boxes[p.user][p.held:] {
			w.add(Event{Op: OpPush, Phase: OK, User: p.user, Device: p.name, Connection: p.conn, Attempt: 1, Sights: []Sight{s}})
			p.held = s.Seq
		}
		w.ack(p)
		for _, r := range w.roomList() {
			if _, in := r.members[p.user]; !r.log || !in {
				continue
			}
			for _, s := range r.messages[max(p.logs[r.id], r.members[p.user]-1):] {
				w.add(Event{Op: OpPush, Phase: OK, User: p.user, Device: p.name, Connection: p.conn, Attempt: 1, Sights: []Sight{s}})
				p.logs[r.id] = s.ConversationSeq
			}
		}
	}
}

func (w *world) roomList() []*room {
	var list []*room
	for _, id := range slices.Sorted(maps.Keys(w.rooms)) {
		list = append(list, w.rooms[id])
	}
	return list
}

// ack acks what the device holds; the other members hear of it.
func (w *world) ack(p *phone) {
	if p.acked == p.held {
		return
	}
	e := w.invoke(Event{Op: OpAck, User: p.user, Device: p.name, UpTo: p.held})
	p.acked = p.held
	w.receipts(p.user, p.held)
	e.Acked = p.acked
	w.end(e, OK)
}

func (w *world) receipts(user client.UserID, upTo int64) {
	up := map[client.ConversationID]int64{}
	for _, s := range w.boxes[user][:upTo] {
		up[s.Conversation] = s.ConversationSeq
	}
	for _, id := range slices.Sorted(maps.Keys(up)) {
		r := w.rooms[id]
		if _, in := r.members[user]; in && up[id] > r.delivered[user] {
			r.delivered[user] = up[id]
			w.tell(r, user, "delivered", up[id])
		}
	}
}

func (w *world) tell(r *room, of client.UserID, kind string, upTo int64) {
	for _, p := range w.devices {
		if _, in := r.members[p.user]; in && p.conn != "" {
			w.add(Event{Op: OpReceipt, Phase: OK, User: p.user, Device: p.name, Connection: p.conn, Conversation: r.id, Users: []client.UserID{of}, Kind: kind, UpTo: upTo})
		}
	}
}

func (w *world) connect(p *phone) {
	w.stepBack(p)
	e := w.invoke(Event{Op: OpConnect, User: p.user, Device: p.name, After: p.held})
	w.receipts(p.user, p.held)
	p.acked, p.conn, p.started = p.held, fmt.Sprint(e.Call), true
	e.Connection, e.Acked, e.Head = p.conn, p.acked, int64(len(w.boxes[p.user]))
	w.end(e, OK)
	w.push()
}

func (w *world) disconnect(p *phone) {
	if p.conn == "" {
		return
	}
	w.add(Event{Op: OpClose, Phase: OK, User: p.user, Device: p.name, Connection: p.conn})
	p.conn = ""
}

// pull syncs a device that may be offline.
func (w *world) pull(p *phone) {
	w.stepBack(p)
	e := w.invoke(Event{Op: OpPull, User: p.user, Device: p.name, After: p.held, Acks: true})
	w.receipts(p.user, p.held)
	box := w.boxes[p.user]
	p.acked = p.held
	e.Sights, e.Head = slices.Clone(box[p.held:]), int64(len(box))
	w.end(e, OK)
	p.held = int64(len(box))
	w.ack(p)
}

// pullLogs reads the large groups that a device is in.
func (w *world) pullLogs(p *phone) {
	for _, r := range w.roomList() {
		joined, in := r.members[p.user]
		if !r.log || !in {
			continue
		}
		after := max(p.logs[r.id], joined-1)
		e := w.invoke(Event{Op: OpHistory, User: p.user, Device: p.name, Conversation: r.id, After: after})
		e.Sights, e.Head = slices.Clone(r.messages[after:]), int64(len(r.messages))
		w.end(e, OK)
		p.logs[r.id] = e.Head
	}
}

func (w *world) direct(a, b client.UserID) *room {
	id := client.ConversationID(min(string(a), string(b)) + max(string(a), string(b)))
	if w.rooms[id] == nil {
		w.rooms[id] = &room{id: id, kind: "direct", members: map[client.UserID]int64{a: 0, b: 0}, delivered: map[client.UserID]int64{}, read: map[client.UserID]int64{}}
	}
	return w.rooms[id]
}

func (w *world) group(log bool, users ...client.UserID) *room {
	e := w.invoke(Event{Op: OpCreate, User: users[0], Users: users[1:]})
	r := &room{id: client.ConversationID(w.id()), kind: "group", log: log, members: map[client.UserID]int64{}, delivered: map[client.UserID]int64{}, read: map[client.UserID]int64{}}
	w.rooms[r.id] = r
	for _, user := range users {
		r.members[user] = 1
	}
	w.notice(r, users[0], "group_created", users[1:]...)
	e.Conversation = r.id
	w.end(e, OK)
	w.push()
	return r
}

func (w *world) notice(r *room, by client.UserID, event string, users ...client.UserID) {
	body := map[string]any{"event": event, "user_ids": fmt.Sprint(users)}
	w.store(r, Sight{Sender: by, Key: "server-" + w.id(), Type: "notice", Hash: Content("notice", body, nil), Notice: &Notice{event, users}})
}

func (w *world) join(r *room, by, who client.UserID) {
	e := w.invoke(Event{Op: OpJoin, User: by, Conversation: r.id, Users: []client.UserID{who}})
	if _, in := r.members[who]; !in {
		at := int64(len(r.messages)) + 1
		r.members[who], r.delivered[who], r.read[who] = at, at-1, at-1
		w.notice(r, by, "members_added", who)
	}
	w.end(e, OK)
	w.push()
}

func (w *world) leave(r *room, by, who client.UserID) {
	e := w.invoke(Event{Op: OpLeave, User: by, Conversation: r.id, Users: []client.UserID{who}})
	if _, in := r.members[who]; in {
		delete(r.members, who)
		w.notice(r, by, "member_removed", who)
	}
	w.end(e, OK)
	w.push()
}

// send sends; early lets the pushes come before the answer.
func (w *world) send(by client.UserID, r *room, early bool) Event {
	key := "key-" + w.id()
	hash := Content("text", map[string]any{"text": key}, nil)
	e := w.invoke(Event{Op: OpSend, User: by, Conversation: r.id, Key: key, Type: "text", Hash: hash})
	s := w.store(r, Sight{Sender: by, Key: key, Type: "text", Hash: hash})
	if s.Seq = 0; !r.log {
		s.Seq = int64(len(w.boxes[by]))
	}
	e.Sights = []Sight{s}
	if early {
		w.push()
	}
	e = w.end(e, OK)
	w.sent = append(w.sent, e)
	w.push()
	return e
}

// lostAnswer sends without an answer; what is stored is told by a retry when again is set.
func (w *world) lostAnswer(by client.UserID, r *room, stored, again bool) {
	key := "key-" + w.id()
	hash := Content("text", map[string]any{"text": key}, nil)
	try := Event{Op: OpSend, User: by, Conversation: r.id, Key: key, Type: "text", Hash: hash}
	e := w.invoke(try)
	var s Sight
	if stored {
		s = w.store(r, Sight{Sender: by, Key: key, Type: "text", Hash: hash})
	}
	w.end(e, Unknown)
	if again {
		e = w.invoke(try)
		if !stored {
			s = w.store(r, Sight{Sender: by, Key: key, Type: "text", Hash: hash})
		}
		if s.Seq = 0; !r.log {
			s.Seq = int64(len(w.boxes[by]))
		}
		e.Sights, e.Duplicate = []Sight{s}, stored
		w.sent = append(w.sent, w.end(e, OK))
	}
	w.push()
}

// repeat sends a key again.
func (w *world) repeat(first Event) {
	first.Sights = slices.Clone(first.Sights)
	first.Hash = Content("text", map[string]any{"text": first.Key}, nil)
	s := &first.Sights[0]
	if row := w.rooms[s.Conversation].messages[s.ConversationSeq-1]; row.Recalled {
		s.Recalled, s.Hash = true, row.Hash
	}
	call := first
	call.Sights, call.Duplicate = nil, false
	e := w.invoke(call)
	e.Sights, e.Duplicate = first.Sights, true
	w.end(e, OK)
}

// refused sends what is refused.
func (w *world) refused(by client.UserID, r *room) {
	w.end(w.invoke(Event{Op: OpSend, User: by, Conversation: r.id, Key: "key-" + w.id(), Type: "text", Hash: 3}), Fail)
}

func (w *world) recall(sent Event) {
	s := sent.Sights[0]
	r := w.rooms[s.Conversation]
	if _, in := r.members[s.Sender]; !in || r.messages[s.ConversationSeq-1].Recalled {
		return
	}
	e := w.invoke(Event{Op: OpRecall, User: s.Sender, Conversation: r.id, Message: s.Message})
	gone := func(row *Sight) {
		if row.Message == s.Message {
			row.Recalled, row.Hash = true, Content("text", nil, nil)
		}
	}
	gone(&r.messages[s.ConversationSeq-1])
	for user := range w.boxes {
		for i := range w.boxes[user] {
			gone(&w.boxes[user][i])
		}
	}
	w.store(r, Sight{Sender: s.Sender, Key: "server-" + w.id(), Type: "recall", Hash: Content("recall", map[string]any{"message_id": string(s.Message)}, nil), Target: s.Message})
	w.end(e, OK)
	w.push()
}

func (w *world) readUpTo(user client.UserID, r *room) {
	if _, in := r.members[user]; !in {
		return
	}
	head := int64(len(r.messages))
	e := w.invoke(Event{Op: OpRead, User: user, Conversation: r.id, UpTo: head})
	r.read[user], r.delivered[user] = head, max(r.delivered[user], head)
	w.tell(r, user, "read", head)
	w.end(e, OK)
}

func (r *room) positions() []Position {
	var list []Position
	for _, user := range slices.Sorted(maps.Keys(r.members)) {
		list = append(list, Position{user, r.delivered[user], r.read[user]})
	}
	return list
}

func (w *world) look(user client.UserID, r *room) {
	if _, in := r.members[user]; in {
		e := w.invoke(Event{Op: OpPositions, User: user, Conversation: r.id})
		e.Positions = r.positions()
		w.end(e, OK)
	}
}

// run is the history and the tables in the end, when all devices have caught up.
func (w *world) run() *Run {
	for _, p := range w.devices {
		if p.conn == "" {
			w.connect(p)
		}
		w.pull(p)
		w.pullLogs(p)
	}
	tables := Tables{map[client.ConversationID]Conversation{}, map[client.UserID]Mailbox{}}
	for id, r := range w.rooms {
		c := Conversation{Kind: r.kind, Delivery: "mailbox", Head: int64(len(r.messages)), From: 1, Messages: slices.Clone(r.messages), Positions: r.positions()}
		if r.log {
			c.Delivery = "log"
		}
		if r.kind == "direct" {
			c.Users = slices.Sorted(maps.Keys(r.members))
		}
		tables.Conversations[id] = c
	}
	for i := range w.devices {
		user := w.devices[i].user
		tables.Mailboxes[user] = Mailbox{Head: int64(len(w.boxes[user])), Entries: slices.Clone(w.boxes[user])}
	}
	return &Run{Events: slices.Clone(w.events), Tables: tables}
}
