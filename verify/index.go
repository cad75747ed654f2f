package verify

import (
	"cmp"
	"maps"
	"slices"
	"time"

	"ackbox/client"
)

// key is one key of one sender: one message.
type key struct {
	sender client.UserID
	name   string
}

// try is one call of a key; end is nil when the history ended before it.
type try struct{ invoke, end *Event }

// answer is the message that the try was answered with, or nil.
func (t try) answer() *Sight {
	if t.end == nil || t.end.Phase != OK || len(t.end.Sights) == 0 {
		return nil
	}
	return &t.end.Sights[0]
}

// keyed is everything that was tried with a key, in order of the invokes.
type keyed struct {
	key
	tries []try
}

// answered is the try whose answer came first, or nil.
func (k *keyed) answered() *try {
	if all := k.answers(); len(all) > 0 {
		return all[0]
	}
	return nil
}

// answers are the tries that were answered with a message, in order of their answers.
func (k *keyed) answers() []*try {
	var all []*try
	for i := range k.tries {
		if t := &k.tries[i]; t.answer() != nil {
			all = append(all, t)
		}
	}
	slices.SortStableFunc(all, func(a, b *try) int { return cmp.Compare(a.end.At, b.end.At) })
	return all
}

// refused says whether every try was refused for certain, so that nothing may be stored.
func (k *keyed) refused() bool {
	for _, t := range k.tries {
		if t.end == nil || t.end.Phase != Fail {
			return false
		}
	}
	return true
}

// device is a device of a user.
type device struct {
	user client.UserID
	name string
}

// shown is a message on a device.
type shown struct {
	user    client.UserID
	device  string
	message client.MessageID
}

// place is a place in a conversation.
type place struct {
	conversation client.ConversationID
	seq          int64
}

// slot is a place in a mailbox.
type slot struct {
	user client.UserID
	seq  int64
}

// sighting is a message that somebody was shown: by push, pull, history, or as the answer to a send.
type sighting struct {
	event   *Event
	sight   *Sight
	invoked time.Duration // when it was asked for; of a push, when its socket was
}

// index is a run in the orders in which the rules look at it.
type index struct {
	run       Run
	limits    Limits
	last      time.Duration    // of the history
	invokes   map[int64]*Event // by call
	keys      []*keyed         // by first invoke
	byKey     map[key]*keyed
	sightings []sighting        // in order of time
	opened    map[string]*Event // the hello of each connection
	dialled   map[string]*Event // its invoke
	ended     map[string]time.Duration

	storedKeys  map[key][]*Sight
	storedPlace map[place]*Sight
	storedSlot  map[slot]*Sight
	members     map[client.ConversationID]*membership

	said     []time.Duration  // when the server said that positions may have changed: a database that was lost
	told     []time.Duration  // then, and when devices stepped back for it
	losses   []loss           // a store that was put back, in order of time
	ends     map[int64]*Event // of calls
	phantoms map[*Sight]bool  // shown before such a moment, and not stored
	undone   map[member]bool  // members of whom something was told that is not stored
	faults   []fault
	first    map[place]time.Duration // when a message was first shown; made when first asked for
}

// fault is a disturbance's time.
type fault struct {
	name       string
	begin, end time.Duration
	limit      time.Duration
}

func newIndex(run Run) *index {
	if !slices.IsSortedFunc(run.Events, byTime) {
		run.Events = slices.Clone(run.Events)
		slices.SortStableFunc(run.Events, byTime)
	}
	x := &index{
		run: run, limits: run.Limits.withDefaults(),
		invokes: map[int64]*Event{}, byKey: map[key]*keyed{},
		opened: map[string]*Event{}, dialled: map[string]*Event{}, ended: map[string]time.Duration{},
		storedKeys: map[key][]*Sight{}, storedPlace: map[place]*Sight{}, storedSlot: map[slot]*Sight{},
		members: map[client.ConversationID]*membership{}, phantoms: map[*Sight]bool{},
		ends: map[int64]*Event{}, undone: map[member]bool{},
	}
	x.readTables()
	x.readEvents()
	x.findPhantoms()
	return x
}

func byTime(a, b Event) int {
	switch {
	case a.At < b.At:
		return -1
	case a.At > b.At:
		return 1
	default:
		return 0
	}
}

func (x *index) readTables() {
	for id, c := range x.run.Tables.Conversations {
		for i := range c.Messages {
			s := &c.Messages[i]
			x.storedKeys[key{s.Sender, s.Key}] = append(x.storedKeys[key{s.Sender, s.Key}], s)
			x.storedPlace[place{id, s.ConversationSeq}] = s
		}
		x.members[id] = newMembership(c)
	}
	for user, m := range x.run.Tables.Mailboxes {
		for i := range m.Entries {
			x.storedSlot[slot{user, m.Entries[i].Seq}] = &m.Entries[i]
		}
	}
}

func (x *index) readEvents() {
	tries := map[int64]attempt{}
	open := map[int64]int{}
	keeping := map[int64][]time.Duration{}
	for i := range x.run.Events {
		e := &x.run.Events[i]
		x.last = e.At
		switch {
		case e.Phase == Invoke:
			x.invokes[e.Call] = e
		case x.invokes[e.Call] != nil:
			x.ends[e.Call] = e
		}
		switch e.Op {
		case OpSend:
			x.readSend(e, tries)
		case OpConnect:
			if e.Phase == OK {
				x.opened[e.Connection] = e
				x.dialled[e.Connection] = x.invokes[e.Call]
				if e.Reset {
					x.said = append(x.said, e.At)
				}
			}
		case OpClose:
			x.ended[e.Connection] = e.At
			if e.Code == closePositions {
				x.said = append(x.said, e.At)
			}
		case OpReset:
			x.told = append(x.told, e.At)
		case OpKeep:
			keeping[e.Call] = append(keeping[e.Call], e.At)
		case OpLoss:
			if kept := keeping[e.Call]; len(kept) == 2 {
				x.losses = append(x.losses, loss{kept[0], kept[1], e.At})
			}
		case OpFault:
			switch e.Phase {
			case Begin:
				open[e.Call] = len(x.faults)
				x.faults = append(x.faults, fault{name: e.Fault, begin: e.At, end: -1, limit: e.Limit})
			case End:
				if at, ok := open[e.Call]; ok {
					x.faults[at].end = e.At
				}
			default:
			}
		default:
		}
		if e.Phase == OK {
			for j := range e.Sights {
				x.sightings = append(x.sightings, sighting{e, &e.Sights[j], x.asked(e)})
			}
		}
	}
	x.told = append(slices.DeleteFunc(x.told, func(at time.Duration) bool { return !x.excused(at) }), x.said...)
	for i := range x.faults {
		if x.faults[i].end < 0 {
			x.faults[i].end = x.last
		}
	}
}

// closePositions is the close code that says that positions may have changed.
const closePositions = 4010

// attempt is where a try is kept.
type attempt struct {
	key *keyed
	at  int
}

func (x *index) readSend(e *Event, tries map[int64]attempt) {
	if e.Phase != Invoke {
		if t, ok := tries[e.Call]; ok {
			t.key.tries[t.at].end = e
		}
		return
	}
	id := key{e.User, e.Key}
	k := x.byKey[id]
	if k == nil {
		k = &keyed{key: id}
		x.byKey[id] = k
		x.keys = append(x.keys, k)
	}
	tries[e.Call] = attempt{k, len(k.tries)}
	k.tries = append(k.tries, try{invoke: e})
}

// asked is when what an event shows was asked for; of what is pushed, when its socket was.
func (x *index) asked(e *Event) time.Duration {
	if e.Op == OpPush || e.Op == OpReceipt {
		if invoke := x.dialled[e.Connection]; invoke != nil {
			return invoke.At
		}
		return 0
	}
	if invoke := x.invokes[e.Call]; invoke != nil {
		return invoke.At
	}
	return e.At
}

// excused says whether a step back is for a database that was lost, as the history knows, or as the server has said to somebody
// by then or said soon after.
func (x *index) excused(at time.Duration) bool {
	return len(x.losses) > 0 && x.losses[0].at <= at || len(x.said) > 0 && x.said[0] <= at+lossTold
}

// findPhantoms finds what was shown, is stored otherwise or not at all, and was given up by a step back of its user:
// a database may show what it then loses in a crash, and the contract says how that is told. Without such word a device that
// steps back has been shown what was never committed. Or it was lost with the store's last moments: that the devices have
// given it up is for view to say.
func (x *index) findPhantoms() {
	resets := map[client.UserID]time.Duration{} // the last
	for i := range x.run.Events {
		if e := &x.run.Events[i]; e.Op == OpReset && x.excused(e.At) {
			resets[e.User] = e.At
		}
	}
	known := map[client.MessageID]time.Duration{} // since when somebody has seen it
	for _, s := range x.sightings {
		if _, seen := known[s.sight.Message]; !seen {
			known[s.sight.Message] = s.event.At
		}
	}
	for _, s := range x.sightings {
		if !x.differs(s) {
			continue
		}
		if len(x.losses) == 0 {
			x.phantoms[s.sight] = s.event.Op != OpSend && s.event.At < resets[s.event.User]
			continue
		}
		x.phantoms[s.sight] = slices.ContainsFunc(x.losses, func(l loss) bool { return l.mayUndo(s.invoked, known[s.sight.Message]) })
		if x.phantoms[s.sight] && s.sight.Notice != nil {
			for _, user := range s.sight.Notice.Users {
				x.undone[member{s.sight.Conversation, user}] = true
			}
		}
	}
	maps.DeleteFunc(x.phantoms, func(_ *Sight, is bool) bool { return !is })
}

// differs says whether the tables have another message, or none, where one was shown.
func (x *index) differs(s sighting) bool {
	if c, ok := x.run.Tables.Conversations[s.sight.Conversation]; ok && s.sight.ConversationSeq >= c.From {
		if stored := x.storedPlace[place{s.sight.Conversation, s.sight.ConversationSeq}]; stored == nil || stored.Message != s.sight.Message {
			return true
		}
	}
	if m, ok := x.run.Tables.Mailboxes[s.event.User]; ok && s.sight.Seq != 0 && s.sight.Seq >= m.Floor {
		if stored := x.storedSlot[slot{s.event.User, s.sight.Seq}]; stored == nil || stored.Message != s.sight.Message {
			return true
		}
	}
	return false
}

// lossBetween says whether a loss of the database's tail explains that what was told at one time is less at another: its
// telling may come a little after the first look at what is left. Where the history itself says what was lost, the rules
// go back by that.
func (x *index) lossBetween(from, to time.Duration) bool {
	if len(x.losses) > 0 {
		return false
	}
	for _, at := range x.told {
		if at >= from && at <= to+lossTold {
			return true
		}
	}
	return false
}

// lossTold is how long after a database came back its loss may be told.
const lossTold = 15 * time.Second
