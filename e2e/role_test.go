package e2e

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"ackbox/client"
)

// mute keeps somebody from writing for some seconds.
func (a *actor) mute(id client.ConversationID, user client.UserID, seconds int) error {
	_, err := a.Call(within(a.t, patience), http.MethodPut, "/v1/groups/"+url.PathEscape(string(id))+"/members/"+url.PathEscape(string(user))+"/mute", map[string]int{"seconds": seconds}, nil)
	return err
}

// typing says that the actor is writing.
func (a *actor) typing(id client.ConversationID) error {
	_, err := a.Call(within(a.t, patience), http.MethodPost, "/v1/conversations/"+url.PathEscape(string(id))+"/typing", nil, nil)
	return err
}

// prefer sets what is the actor's own about a conversation.
func (a *actor) prefer(id client.ConversationID, fields map[string]any) (client.Conversation, error) {
	var c client.Conversation
	_, err := a.Call(within(a.t, patience), http.MethodPatch, "/v1/conversations/"+url.PathEscape(string(id)), fields, &c)
	return c, err
}

// try sends a text that may be refused.
func (a *actor) try(id client.ConversationID) error {
	return sendError(a.Send(within(a.t, patience), client.TextIn(id, uuid.NewString(), "may I?")))
}

// change changes a group.
func (a *actor) change(id client.ConversationID, field string, value any) error {
	_, err := a.ChangeGroup(within(a.t, patience), id, map[string]any{field: value})
	return err
}

// stage is a group in which somebody of each role tries something. Those who may have somebody each to do it to.
type stage struct {
	id                         client.ConversationID
	owner, admin, member, none *actor
	plain                      map[*actor]*actor // members, by who tries it on them
	admins                     map[*actor]*actor
	fresh                      map[*actor]*actor // no members yet
	word                       map[*actor]client.Message
}

// groupPowers: every action, tried by every role. What is refused changes nothing; what changes something is a message.
func groupPowers(t *testing.T, s *system) {
	const (
		yes  = ""
		no   = "forbidden"
		mute = "muted"
	)
	people := s.users(t, 14)
	name := func(by *actor) string { return "by " + string(by.id()) }
	for _, action := range []struct {
		what                 string
		member, admin, owner string
		silent               bool // makes no message
		do                   func(g *stage, by *actor) error
	}{
		{"send", yes, yes, yes, false, func(g *stage, by *actor) error { return by.try(g.id) }},
		{"send into a muted group", mute, yes, yes, false, func(g *stage, by *actor) error { return by.try(g.id) }},
		{"type", yes, yes, yes, true, func(g *stage, by *actor) error { return by.typing(g.id) }},
		{"read the members", yes, yes, yes, true, func(g *stage, by *actor) error {
			_, err := by.Members(within(t, patience), g.id, "", 0)
			return err
		}},
		{"read the history", yes, yes, yes, true, func(g *stage, by *actor) error {
			_, err := by.After(within(t, patience), g.id, 0)
			return err
		}},
		{"pin", yes, yes, yes, true, func(g *stage, by *actor) error {
			_, err := by.prefer(g.id, map[string]any{"pinned": true})
			return err
		}},
		{"rename", no, yes, yes, false, func(g *stage, by *actor) error { return by.change(g.id, "name", name(by)) }},
		{"picture", no, yes, yes, false, func(g *stage, by *actor) error {
			return by.change(g.id, "avatar_url", "https://example.com/"+string(by.id()))
		}},
		{"announce", no, yes, yes, false, func(g *stage, by *actor) error { return by.change(g.id, "announcement", name(by)) }},
		{"mute the group", no, yes, yes, false, func(g *stage, by *actor) error { return by.change(g.id, "mute_all", by == g.admin) }},
		{"open the past", no, yes, yes, false, func(g *stage, by *actor) error {
			return by.change(g.id, "history", map[bool]string{true: "all", false: "joined"}[by == g.admin])
		}},
		{"add a member", no, yes, yes, false, func(g *stage, by *actor) error {
			return by.AddMembers(within(t, patience), g.id, g.fresh[by].id())
		}},
		{"remove a member", no, yes, yes, false, func(g *stage, by *actor) error {
			return by.RemoveMember(within(t, patience), g.id, g.plain[by].id())
		}},
		{"remove an admin", no, no, yes, false, func(g *stage, by *actor) error {
			return by.RemoveMember(within(t, patience), g.id, g.admins[by].id())
		}},
		{"mute a member", no, yes, yes, false, func(g *stage, by *actor) error { return by.mute(g.id, g.plain[by].id(), 60) }},
		{"mute an admin", no, no, yes, false, func(g *stage, by *actor) error { return by.mute(g.id, g.admins[by].id(), 60) }},
		{"mute the owner", no, no, no, false, func(g *stage, by *actor) error { return by.mute(g.id, g.owner.id(), 60) }},
		{"make an admin", no, no, yes, false, func(g *stage, by *actor) error {
			return by.SetRole(within(t, patience), g.id, g.plain[by].id(), "admin")
		}},
		{"make a member of an admin", no, no, yes, false, func(g *stage, by *actor) error {
			return by.SetRole(within(t, patience), g.id, g.admins[by].id(), "member")
		}},
		{"take the group", no, no, yes, true, func(g *stage, by *actor) error { // who owns it already changes nothing
			return by.SetRole(within(t, patience), g.id, by.id(), "owner")
		}},
		{"hand the group over", no, no, yes, false, func(g *stage, by *actor) error {
			return by.SetRole(within(t, patience), g.id, g.plain[by].id(), "owner")
		}},
		{"recall another's message", no, yes, yes, false, func(g *stage, by *actor) error {
			return lastError(by.Recall(within(t, patience), g.word[by].MessageID))
		}},
		{"leave", yes, yes, yes, false, func(g *stage, by *actor) error { return by.RemoveMember(within(t, patience), g.id, by.id()) }},
		{"dissolve", no, no, yes, false, func(g *stage, by *actor) error { return lastError(by.Dissolve(within(t, patience), g.id)) }},
	} {
		t.Run(action.what, func(t *testing.T) {
			g := newStage(own(t, people))
			if action.member == mute {
				if err := g.owner.change(g.id, "mute_all", true); err != nil {
					t.Fatal(err)
				}
			}
			watcher := g.plain[g.none] // stays, whoever leaves
			for _, one := range []struct {
				role string
				by   *actor
				want string
			}{{"stranger", g.none, "not_found"}, {"member", g.member, action.member}, {"admin", g.admin, action.admin}, {"owner", g.owner, action.owner}} {
				before := watcher.conversation(g.id).Head
				err := action.do(g, one.by)
				if one.want == yes {
					if err != nil {
						t.Errorf("%s: %v", one.role, err)
					}
				} else if problem, ok := client.AsProblem(err); !ok || problem.Code != one.want || problem.Status != map[bool]int{true: http.StatusNotFound, false: http.StatusForbidden}[one.role == "stranger"] {
					t.Errorf("%s: %v, want %s", one.role, err, one.want)
				}
				if one.want == yes && action.what == "dissolve" {
					continue
				}
				want := before
				if one.want == yes && !action.silent {
					want++
				}
				if after := watcher.conversation(g.id).Head; after != want {
					t.Errorf("%s: head %d, want %d", one.role, after, want)
				}
			}
		})
	}
}

// newStage makes a group of 14 people's first eleven.
func newStage(people []*actor) *stage {
	g := &stage{owner: people[0], admin: people[1], member: people[2], none: people[13], plain: map[*actor]*actor{}, admins: map[*actor]*actor{}, fresh: map[*actor]*actor{}, word: map[*actor]client.Message{}}
	g.id = g.owner.group(people[1:11]...)
	admins := []*actor{g.admin}
	for i, one := range []*actor{g.owner, g.admin, g.member} {
		g.plain[one], g.admins[one], g.fresh[one] = people[3+i], people[7+i], people[11]
		admins = append(admins, people[7+i])
	}
	g.plain[g.none], g.admins[g.none], g.fresh[g.none] = people[6], people[10], people[12]
	g.fresh[g.owner] = people[12]
	for _, one := range append(admins, people[10]) {
		if err := g.owner.SetRole(within(one.t, patience), g.id, one.id(), "admin"); err != nil {
			one.t.Fatal(err)
		}
	}
	for _, one := range []*actor{g.owner, g.admin, g.member, g.none} {
		g.word[one] = people[6].say(g.id, "words").Message
	}
	return g
}

// groupMute: who is muted may not write until then; the owner is never muted, and whoever becomes owner is not any more.
func groupMute(t *testing.T, s *system) {
	alice, bob, carol := s.user(t), s.user(t), s.user(t)
	id := alice.group(bob, carol)
	phone := carol.openLive("phone")
	draft := client.TextIn(id, uuid.NewString(), "before")
	accepted := bob.sendDraft(draft)
	if err := alice.mute(id, bob.id(), 3600); err != nil {
		t.Fatalf("mute: %v", err)
	}
	phone.changed(id, "updated")
	carol.wantNotice(id, alice, "member_muted", bob)
	problem := refused(t, bob.try(id), "muted", http.StatusForbidden)
	if year := time.Now().UTC().Format("2006-"); !strings.Contains(problem.Detail, year) {
		t.Errorf("%q does not say until when", problem.Detail)
	}
	bob.repeat(draft, accepted) // what was accepted stays so
	if len(bob.wholeHistory(id, 0)) != 3 {
		t.Error("who is muted reads another history")
	}
	refused(t, bob.typing(id), "muted", http.StatusForbidden)
	bob.send(carol, "directly I may")
	carol.say(id, "others may")
	if err := alice.mute(id, bob.id(), 0); err != nil {
		t.Fatalf("unmute: %v", err)
	}
	carol.wantNotice(id, alice, "member_unmuted", bob)
	bob.say(id, "again")
	for _, seconds := range []int{-1, 366 * 24 * 3600} {
		refused(t, alice.mute(id, bob.id(), seconds), "", http.StatusUnprocessableEntity)
	}
	refused(t, alice.mute(id, s.user(t).id(), 60), "", http.StatusNotFound)

	// It ends by itself.
	if err := alice.mute(id, bob.id(), 1); err != nil {
		t.Fatal(err)
	}
	ctx := within(t, patience)
	for {
		err := bob.try(id)
		if err == nil {
			break
		}
		refused(t, err, "muted", http.StatusForbidden)
		if ctx.Err() != nil {
			t.Fatal("a mute of a second does not end")
		}
	}

	// Nobody else could let an owner write again.
	if err := alice.mute(id, bob.id(), 3600); err != nil {
		t.Fatal(err)
	}
	if err := alice.SetRole(within(t, patience), id, bob.id(), "owner"); err != nil {
		t.Fatal(err)
	}
	bob.say(id, "mine now")
	if err := bob.mute(id, alice.id(), 3600); err != nil {
		t.Fatalf("the new owner mutes an admin: %v", err)
	}
	refused(t, alice.try(id), "muted", http.StatusForbidden)
	if err := bob.RemoveMember(within(t, patience), id, bob.id()); err != nil {
		t.Fatal(err)
	}
	alice.say(id, "inherited")
}

// groupAnnouncement: everybody sees it; its length is bounded in characters, not bytes.
func groupAnnouncement(t *testing.T, s *system) {
	alice, bob := s.user(t), s.user(t)
	id := alice.group(bob)
	phone := bob.openLive("phone")
	read := func() (c struct {
		Announcement string `json:"announcement"`
		MuteAll      bool   `json:"mute_all"`
	}) {
		t.Helper()
		if _, err := bob.Call(within(t, patience), http.MethodGet, "/v1/conversations/"+string(id), nil, &c); err != nil {
			t.Fatal(err)
		}
		return c
	}
	long := strings.Repeat("ü", 2_000)
	if err := alice.change(id, "announcement", long); err != nil {
		t.Fatalf("announce: %v", err)
	}
	phone.changed(id, "updated")
	bob.wantNotice(id, alice, "group_updated")
	if got := read(); got.Announcement != long {
		t.Errorf("bob sees %.80q", got.Announcement)
	}
	refused(t, alice.change(id, "announcement", long+"ü"), "", http.StatusUnprocessableEntity)
	head := bob.conversation(id).Head
	if err := alice.change(id, "announcement", long); err != nil {
		t.Errorf("the same again: %v", err)
	}
	if got := bob.conversation(id).Head; got != head {
		t.Errorf("the same again made a notice: head %d, want %d", got, head)
	}
	if err := alice.change(id, "announcement", ""); err != nil {
		t.Errorf("take it away: %v", err)
	}
	if err := alice.change(id, "mute_all", true); err != nil {
		t.Fatal(err)
	}
	if got := read(); got.Announcement != "" || !got.MuteAll {
		t.Errorf("bob sees %+v", got)
	}
	refused(t, bob.try(id), "muted", http.StatusForbidden)
	alice.say(id, "only I")
	if err := alice.change(id, "mute_all", false); err != nil {
		t.Fatal(err)
	}
	bob.say(id, "all of us")
}

// preferences: muted, pinned and hidden are one's own, and the own other devices are told.
func preferences(t *testing.T, s *system) {
	alice, bob := s.user(t), s.user(t)
	id := alice.group(bob)
	other := alice.send(bob, "hi").Message.ConversationID
	phone, theirs := bob.openLive("phone"), alice.openLive("phone")
	c, err := bob.prefer(id, map[string]any{"pinned": true, "muted": true})
	if err != nil || !c.Pinned || !c.Muted {
		t.Fatalf("pin and mute: %+v, %v", c, err)
	}
	phone.changed(id, "updated")
	if c, err = bob.prefer(id, map[string]any{"pinned": false}); err != nil || c.Pinned || !c.Muted {
		t.Errorf("unpin: %+v, %v; want muted still", c, err)
	}
	if c := alice.conversation(id); c.Pinned || c.Muted {
		t.Errorf("alice sees %+v", c)
	}
	sent := alice.say(id, "muted is delivered")
	phone.until("the message", func(f client.Frame) bool { return f.Type == "message" && f.Message.MessageID == sent.Message.MessageID })

	listed := func() []client.ConversationID {
		t.Helper()
		page, err := bob.Conversations(within(t, patience), "", 0)
		if err != nil {
			t.Fatal(err)
		}
		var list []client.ConversationID
		for _, c := range page.Conversations {
			list = append(list, c.ConversationID)
		}
		slices.Sort(list)
		return list
	}
	both := []client.ConversationID{id, other}
	slices.Sort(both)
	for _, back := range []func(){
		func() { alice.say(id, "the next message") },
		func() {
			if _, err := bob.prefer(id, map[string]any{"hidden": false}); err != nil {
				t.Fatal(err)
			}
		},
	} {
		if _, err := bob.prefer(id, map[string]any{"hidden": true}); err != nil {
			t.Fatal(err)
		}
		if got := listed(); !slices.Equal(got, []client.ConversationID{other}) {
			t.Errorf("listed %v, want only %s", got, other)
		}
		if c := bob.conversation(id); c.Unread == 0 {
			t.Errorf("hidden is not read: %+v", c)
		}
		back()
		if got := listed(); !slices.Equal(got, both) {
			t.Errorf("listed %v, want %v again", got, both)
		}
	}
	_, err = s.user(t).prefer(id, map[string]any{"pinned": true})
	refused(t, err, "", http.StatusNotFound)
	_, err = bob.prefer(id, map[string]any{"colour": "red"})
	refused(t, err, "", http.StatusUnprocessableEntity)
	theirs.none(100*time.Millisecond, "word of another's preferences", func(f client.Frame) bool {
		return f.Type == "conversation" && f.ConversationID == other
	})
}

// typingFrames: the others hear of it, and nothing is kept.
func typingFrames(t *testing.T, s *system) {
	alice, bob, eve := s.user(t), s.user(t), s.user(t)
	group := alice.group(bob)
	direct := alice.send(bob, "hi").Message.ConversationID
	mine, theirs, strange := alice.openLive("phone"), bob.openLive("phone"), eve.openLive("phone")
	isTyping := func(f client.Frame) bool { return f.Type == "typing" }
	for _, id := range []client.ConversationID{group, direct} {
		before := bob.conversation(id)
		if err := alice.typing(id); err != nil {
			t.Fatalf("typing: %v", err)
		}
		if f := theirs.until("typing", isTyping); f.ConversationID != id || f.UserID != alice.id() {
			t.Errorf("got %s, want typing of alice in %s", f.Raw, id)
		}
		if after := bob.conversation(id); after.Head != before.Head || after.Unread != before.Unread {
			t.Errorf("typing left %+v", after)
		}
		refused(t, eve.typing(id), "", http.StatusNotFound)
	}
	mine.none(100*time.Millisecond, "typing of one's own", isTyping)
	strange.none(100*time.Millisecond, "typing of strangers", isTyping)
}

// logTyping: a large group is not told.
func logTyping(t *testing.T, s *system) {
	people := s.users(t, 4)
	alice, bob := people[0], people[1]
	id := alice.logGroup(people[1:]...)
	direct := alice.send(bob, "hi").Message.ConversationID
	phone := bob.open(client.Dial{Device: "phone"})
	if err := alice.typing(id); err != nil {
		t.Fatalf("typing: %v", err)
	}
	if err := alice.typing(direct); err != nil {
		t.Fatalf("typing: %v", err)
	}
	if f := phone.until("typing", func(f client.Frame) bool { return f.Type == "typing" }); f.ConversationID != direct {
		t.Errorf("got %s, want typing of the direct conversation only", f.Raw)
	}
}
