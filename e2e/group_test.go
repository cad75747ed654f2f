package e2e

import (
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/google/uuid"
	"golang.org/x/sync/errgroup"

	"ackbox/client"
)

// group makes a group of the actor and others.
func (a *actor) group(others ...*actor) client.ConversationID {
	a.t.Helper()
	c, status, err := a.CreateGroup(within(a.t, patience), "a group", ids(others)...)
	if err != nil || status != http.StatusCreated {
		a.t.Fatalf("create group: %d, %v", status, err)
	}
	return c.ConversationID
}

func ids(users []*actor) []client.UserID {
	list := make([]client.UserID, len(users))
	for i, user := range users {
		list[i] = user.id()
	}
	return list
}

// say sends a text into a conversation; it must be accepted as new.
func (a *actor) say(id client.ConversationID, text string) client.Sent {
	a.t.Helper()
	return a.sendDraft(client.TextIn(id, uuid.NewString(), text))
}

// conversation reads a conversation.
func (a *actor) conversation(id client.ConversationID) client.Conversation {
	a.t.Helper()
	c, err := a.Conversation(within(a.t, patience), id)
	if err != nil {
		a.t.Fatalf("conversation: %v", err)
	}
	return c
}

// wholeHistory reads a conversation by pages and checks that it is contiguous after the given seq.
func (a *actor) wholeHistory(id client.ConversationID, after int64) []client.Message {
	a.t.Helper()
	var all []client.Message
	for {
		page, err := a.After(within(a.t, patience), id, after)
		if err != nil {
			a.t.Fatalf("history after %d: %v", after, err)
		}
		for _, m := range page.Messages {
			if after++; m.ConversationSeq != after || m.ConversationID != id {
				a.t.Fatalf("history: message %d of %s where %d of %s should be", m.ConversationSeq, m.ConversationID, after, id)
			}
			all = append(all, m)
		}
		if !page.HasMore {
			if page.Head != after {
				a.t.Fatalf("history: ends at %d, and the head is %d", after, page.Head)
			}
			return all
		}
	}
}

// of are the messages of one conversation among a mailbox's entries.
func of(id client.ConversationID, entries []client.Entry) []client.Message {
	var list []client.Message
	for _, entry := range entries {
		if entry.Message.ConversationID == id {
			list = append(list, entry.Message)
		}
	}
	return list
}

// roles reads the members of a group and their roles.
func (a *actor) roles(id client.ConversationID) map[client.UserID]string {
	a.t.Helper()
	page, err := a.Members(within(a.t, patience), id, "", 200)
	if err != nil || page.HasMore {
		a.t.Fatalf("members: %v, has_more %t", err, page.HasMore)
	}
	roles := map[client.UserID]string{}
	for _, m := range page.Members {
		if m.JoinedAt.IsZero() {
			a.t.Fatalf("member without joined_at: %+v", m)
		}
		roles[m.UserID] = m.Role
	}
	return roles
}

func (a *actor) wantRoles(id client.ConversationID, want map[client.UserID]string) {
	a.t.Helper()
	if got := a.roles(id); !maps.Equal(got, want) {
		a.t.Fatalf("roles: got %v, want %v", got, want)
	}
}

// noticed is what a notice says: the event, and whom it concerns.
func noticed(m client.Message) (event string, users []client.UserID) {
	if m.Type != "notice" {
		return "", nil
	}
	event, _ = m.Body["event"].(string)
	list, _ := m.Body["user_ids"].([]any)
	for _, user := range list {
		if id, ok := user.(string); ok {
			users = append(users, client.UserID(id))
		}
	}
	return event, users
}

// wantNotice checks that the newest message is a notice that the actor's doing made.
func (a *actor) wantNotice(id client.ConversationID, by *actor, event string, users ...*actor) client.Message {
	a.t.Helper()
	last := a.conversation(id).LastMessage
	if last == nil {
		a.t.Fatalf("no message, want notice %s", event)
	}
	got, whom := noticed(*last)
	want := ids(users)
	slices.Sort(want)
	slices.Sort(whom)
	if got != event || last.SenderID != by.id() || !slices.Equal(whom, want) {
		a.t.Fatalf("last message is %+v, want notice %s by %s of %v", *last, event, by.id(), want)
	}
	return *last
}

// changed waits for the frame that tells of a conversation's change.
func (l *line) changed(id client.ConversationID, event string) {
	l.t.Helper()
	l.until("conversation "+event, func(f client.Frame) bool {
		return f.Type == "conversation" && f.Event == event && f.ConversationID == id
	})
}

// groupCreate: a group is a conversation of its members from its first message, the notice that made it.
func groupCreate(t *testing.T, s *system) {
	people := s.users(t, 3)
	alice, bob, carol := people[0], people[1], people[2]
	phone := bob.openLive("phone")
	c, status, err := alice.CreateGroup(within(t, patience), "  Friends  ", bob.id(), carol.id(), bob.id(), alice.id())
	if err != nil || status != http.StatusCreated {
		t.Fatalf("create: %d, %v", status, err)
	}
	if c.Kind != "group" || c.Name != "Friends" || c.AvatarURL != "" || c.PeerID != "" || c.MemberCount != 3 || c.Head != 1 ||
		c.Delivery != "mailbox" || c.LastMessage == nil || c.Unread != 0 || c.JoinedSeq != 0 || c.UpdatedAt.IsZero() {
		t.Fatalf("created %+v", c)
	}
	phone.changed(c.ConversationID, "updated")
	made := alice.wantNotice(c.ConversationID, alice, "group_created", bob, carol)
	if made.ConversationSeq != 1 || made.Body["name"] != "Friends" {
		t.Errorf("notice %+v, want the name, at 1", made)
	}
	alice.wantRoles(c.ConversationID, map[client.UserID]string{alice.id(): "owner", bob.id(): "member", carol.id(): "member"})

	hello := bob.say(c.ConversationID, "hello all")
	if hello.Message.ConversationSeq != 2 || hello.MailboxSeq != 2 {
		t.Errorf("first message: %+v, want 2 in both orders", hello)
	}
	for _, one := range people {
		got := of(c.ConversationID, one.wholeMailbox())
		if len(got) != 2 || difference(made, got[0]) != "" || difference(hello.Message, got[1]) != "" {
			t.Errorf("mailbox of %s: %+v, want the notice and the message", one.id(), got)
		}
		group, err := one.Group(within(t, patience), c.ConversationID)
		if err != nil || group.ConversationID != c.ConversationID || group.Head != 2 {
			t.Errorf("group of %s: %+v, %v", one.id(), group, err)
		}
	}

	alone, _, err := alice.CreateGroup(within(t, patience), "only me")
	if err != nil || alone.MemberCount != 1 {
		t.Errorf("a group of one: %+v, %v", alone, err)
	}
	_, _, err = alice.CreateGroup(within(t, patience), "who?", bob.id(), "9007199254740993")
	refused(t, err, "", http.StatusNotFound)
	for _, name := range []string{"", "   ", strings.Repeat("x", 65)} {
		_, _, err = alice.CreateGroup(within(t, patience), name, bob.id())
		refused(t, err, "", http.StatusUnprocessableEntity)
	}
	many := make([]client.UserID, 501)
	for i := range many {
		many[i] = client.UserID(strconv.Itoa(i + 1))
	}
	_, _, err = alice.CreateGroup(within(t, patience), "too many at once", many...)
	refused(t, err, "", http.StatusUnprocessableEntity)
	refused(t, alice.AddMembers(within(t, patience), c.ConversationID, many...), "", http.StatusUnprocessableEntity)
}

// groupChange: owner and admins rename a group and change its picture; everybody hears of it.
func groupChange(t *testing.T, s *system) {
	alice, bob, carol := s.user(t), s.user(t), s.user(t)
	id := alice.group(bob, carol)
	phone := carol.openLive("phone")
	c, err := alice.ChangeGroup(within(t, patience), id, map[string]any{"name": "Renamed", "avatar_url": "https://example.com/a.png"})
	if err != nil || c.Name != "Renamed" || c.AvatarURL != "https://example.com/a.png" || c.Head != 2 {
		t.Fatalf("change: %+v, %v", c, err)
	}
	phone.changed(id, "updated")
	if n := carol.wantNotice(id, alice, "group_updated"); n.Body["name"] != "Renamed" {
		t.Errorf("notice %+v, want the name", n)
	}
	if c := bob.conversation(id); c.Name != "Renamed" || c.AvatarURL != "https://example.com/a.png" {
		t.Errorf("bob sees %+v", c)
	}
	if c, err = alice.ChangeGroup(within(t, patience), id, map[string]any{"name": "Renamed"}); err != nil || c.Head != 2 {
		t.Errorf("no change: %+v, %v; want no notice", c, err)
	}
	if c, err = alice.ChangeGroup(within(t, patience), id, map[string]any{"avatar_url": ""}); err != nil || c.AvatarURL != "" || c.Name != "Renamed" {
		t.Errorf("take the picture away: %+v, %v", c, err)
	}
	if err := alice.SetRole(within(t, patience), id, carol.id(), "admin"); err != nil {
		t.Fatal(err)
	}
	if _, err = carol.ChangeGroup(within(t, patience), id, map[string]any{"name": "By an admin"}); err != nil {
		t.Errorf("an admin renames: %v", err)
	}
	_, err = bob.ChangeGroup(within(t, patience), id, map[string]any{"name": "By a member"})
	refused(t, err, "forbidden", http.StatusForbidden)
	for _, fields := range []map[string]any{{"name": ""}, {"name": " "}, {"name": strings.Repeat("x", 65)}, {"avatar_url": "javascript:alert(1)"}, {"colour": "red"}} {
		_, err = alice.ChangeGroup(within(t, patience), id, fields)
		refused(t, err, "", http.StatusUnprocessableEntity)
	}
	if c := bob.conversation(id); c.Name != "By an admin" {
		t.Errorf("name %q after refusals", c.Name)
	}
	if a, b, c := alice.conversation(id).Role, bob.conversation(id).Role, carol.conversation(id).Role; a != "owner" || b != "member" || c != "admin" {
		t.Errorf("their roles, as the conversation says: %q, %q, %q", a, b, c)
	}
}

// groupMembers: members are added by owner and admins and paged by user id.
func groupMembers(t *testing.T, s *system) {
	people := s.users(t, 7)
	alice, bob := people[0], people[1]
	id := alice.group(bob)
	bob.say(id, "before")
	phone := people[2].openLive("phone")
	if err := alice.AddMembers(within(t, patience), id, append(ids(people[2:]), bob.id())...); err != nil {
		t.Fatalf("add: %v", err)
	}
	phone.changed(id, "updated")
	c := people[2].conversation(id)
	if c.MemberCount != 7 || c.Head != 3 || c.JoinedSeq != 2 || c.Unread != 1 || c.ReadSeq != 2 {
		t.Errorf("who was added sees %+v", c)
	}
	if c := bob.conversation(id); c.JoinedSeq != 0 {
		t.Errorf("who belonged already: joined_seq %d, want 0", c.JoinedSeq)
	}
	if event, users := noticed(*c.LastMessage); event != "members_added" || !containsAll(users, ids(people[2:])) {
		t.Errorf("notice %+v", *c.LastMessage)
	}
	if got := of(id, people[2].wholeMailbox()); len(got) != 1 || got[0].ConversationSeq != 3 {
		t.Errorf("mailbox of who was added: %+v, want the notice only", got)
	}
	// Again, and nothing happens.
	if err := alice.AddMembers(within(t, patience), id, ids(people[1:])...); err != nil {
		t.Errorf("add again: %v", err)
	}
	if c := alice.conversation(id); c.Head != 3 || c.MemberCount != 7 {
		t.Errorf("after adding again: %+v", c)
	}

	var listed []client.UserID
	for cursor, pages := "", 0; ; pages++ {
		page, err := bob.Members(within(t, patience), id, cursor, 3)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range page.Members {
			listed = append(listed, m.UserID)
		}
		if cursor = page.NextCursor; !page.HasMore {
			if cursor != "" || pages != 2 {
				t.Errorf("last page %d: next_cursor %q", pages, cursor)
			}
			break
		}
	}
	if !containsAll(listed, ids(people)) || len(listed) != 7 {
		t.Errorf("paged members %v, want %v", listed, ids(people))
	}

	refused(t, bob.AddMembers(within(t, patience), id, s.user(t).id()), "forbidden", http.StatusForbidden)
	refused(t, alice.AddMembers(within(t, patience), id, "9007199254740993"), "", http.StatusNotFound)
	refused(t, alice.AddMembers(within(t, patience), id, s.user(t).id(), "9007199254740993"), "", http.StatusNotFound)
	refused(t, alice.AddMembers(within(t, patience), id), "", http.StatusUnprocessableEntity)
	if c := alice.conversation(id); c.Head != 3 || c.MemberCount != 7 {
		t.Errorf("after refusals: %+v", c)
	}
}

func containsAll(have, want []client.UserID) bool {
	return !slices.ContainsFunc(want, func(id client.UserID) bool { return !slices.Contains(have, id) })
}

// groupRemove: who may take whom out; who is out is a stranger.
func groupRemove(t *testing.T, s *system) {
	people := s.users(t, 6)
	owner, admin, admin2, bob, carol, dave := people[0], people[1], people[2], people[3], people[4], people[5]
	id := owner.group(people[1:]...)
	for _, one := range []*actor{admin, admin2} {
		if err := owner.SetRole(within(t, patience), id, one.id(), "admin"); err != nil {
			t.Fatal(err)
		}
	}
	for _, who := range []struct{ by, whom *actor }{{bob, carol}, {bob, admin}, {bob, owner}, {admin, admin2}, {admin, owner}} {
		refused(t, who.by.RemoveMember(within(t, patience), id, who.whom.id()), "forbidden", http.StatusForbidden)
	}
	refused(t, owner.RemoveMember(within(t, patience), id, s.user(t).id()), "", http.StatusNotFound)

	phone, other := bob.openLive("phone"), carol.openLive("phone")
	last := bob.say(id, "my last words")
	before := bob.wholeMailbox()
	if err := admin.RemoveMember(within(t, patience), id, bob.id()); err != nil {
		t.Fatalf("an admin takes a member out: %v", err)
	}
	phone.changed(id, "removed")
	other.changed(id, "updated")
	carol.wantNotice(id, admin, "member_removed", bob)
	owner.say(id, "he is gone")
	if after := bob.wholeMailbox(); len(after) != len(before) || after[len(after)-1].Message.MessageID != last.Message.MessageID {
		t.Errorf("bob's mailbox has %d entries, want the %d from before", len(after), len(before))
	}
	bob.stranger(id, last.Message.MessageID)
	refused(t, owner.RemoveMember(within(t, patience), id, bob.id()), "", http.StatusNotFound)
	other.until("the next message", func(f client.Frame) bool { return f.Type == "message" && f.Message.Body["text"] == "he is gone" })

	if err := carol.RemoveMember(within(t, patience), id, carol.id()); err != nil {
		t.Fatalf("leave: %v", err)
	}
	other.changed(id, "removed")
	dave.wantNotice(id, carol, "member_left", carol)
	carol.stranger(id, last.Message.MessageID)
	if err := owner.RemoveMember(within(t, patience), id, admin2.id()); err != nil {
		t.Errorf("the owner takes an admin out: %v", err)
	}
	if c := dave.conversation(id); c.MemberCount != 3 {
		t.Errorf("member_count %d, want 3", c.MemberCount)
	}

	// Who comes back is new: a member, and sees from there on.
	if err := owner.AddMembers(within(t, patience), id, admin2.id()); err != nil {
		t.Fatal(err)
	}
	c := admin2.conversation(id)
	if c.JoinedSeq != c.Head-1 || c.Unread != 1 {
		t.Errorf("who came back sees %+v", c)
	}
	if got := admin2.wholeHistory(id, c.JoinedSeq); len(got) != 1 {
		t.Errorf("who came back reads %d messages, want 1", len(got))
	}
	owner.wantRoles(id, map[client.UserID]string{owner.id(): "owner", admin.id(): "admin", dave.id(): "member", admin2.id(): "member"})
}

// stranger checks that a group and a message of it are not told to the actor.
func (a *actor) stranger(id client.ConversationID, message client.MessageID) {
	a.t.Helper()
	ctx := within(a.t, patience)
	for what, try := range map[string]func() error{
		"conversation": func() error { _, err := a.Conversation(ctx, id); return err },
		"history":      func() error { _, err := a.After(ctx, id, 0); return err },
		"receipts":     func() error { _, err := a.Receipts(ctx, id); return err },
		"read":         func() error { _, err := a.Read(ctx, id, 1); return err },
		"send":         func() error { _, err := a.Send(ctx, client.TextIn(id, uuid.NewString(), "hi")); return err },
		"recall":       func() error { _, err := a.Recall(ctx, message); return err },
		"group":        func() error { _, err := a.Group(ctx, id); return err },
		"change":       func() error { _, err := a.ChangeGroup(ctx, id, map[string]any{"name": "mine"}); return err },
		"members":      func() error { _, err := a.Members(ctx, id, "", 0); return err },
		"add":          func() error { return a.AddMembers(ctx, id, a.id()) },
		"remove":       func() error { return a.RemoveMember(ctx, id, a.id()) },
		"role":         func() error { return a.SetRole(ctx, id, a.id(), "owner") },
		"dissolve":     func() error { _, err := a.Dissolve(ctx, id); return err },
		"ack":          func() error { return a.AckLog(ctx, "laptop", id, 1) },
	} {
		problem, ok := client.AsProblem(try())
		if !ok || problem.Status != http.StatusNotFound {
			a.t.Errorf("%s of a group that is not mine: %v, want 404", what, problem)
		}
	}
	list, err := a.Conversations(ctx, "", 200)
	if err != nil {
		a.t.Fatal(err)
	}
	for _, c := range list.Conversations {
		if c.ConversationID == id {
			a.t.Errorf("a group that is not mine is listed: %+v", c)
		}
	}
}

// groupStrangers: a group that is not one's own does not exist, nor does one that is none.
func groupStrangers(t *testing.T, s *system) {
	alice, bob, eve := s.user(t), s.user(t), s.user(t)
	id := alice.group(bob)
	sent := alice.say(id, "secret")
	eve.stranger(id, sent.Message.MessageID)
	eve.stranger("9007199254740993", "9007199254740993")
	// A direct conversation is no group, not even for its own two.
	direct := alice.send(bob, "hi").Message.ConversationID
	ctx := within(t, patience)
	_, err := alice.Group(ctx, direct)
	refused(t, err, "", http.StatusNotFound)
	refused(t, alice.AddMembers(ctx, direct, eve.id()), "", http.StatusNotFound)
	refused(t, alice.RemoveMember(ctx, direct, alice.id()), "", http.StatusNotFound)
	refused(t, lastError(alice.Dissolve(ctx, direct)), "", http.StatusNotFound)
	alice.send(bob, "still here")
}

// groupRoles: the owner gives roles, hands the group over, and is followed when they leave.
func groupRoles(t *testing.T, s *system) {
	people := s.users(t, 4)
	alice, bob, carol, dave := people[0], people[1], people[2], people[3]
	id := alice.group(bob, carol, dave)
	ctx := within(t, patience)
	refused(t, bob.SetRole(ctx, id, bob.id(), "admin"), "forbidden", http.StatusForbidden)
	refused(t, alice.SetRole(ctx, id, alice.id(), "member"), "forbidden", http.StatusForbidden)
	refused(t, alice.SetRole(ctx, id, bob.id(), "king"), "", http.StatusUnprocessableEntity)
	refused(t, alice.SetRole(ctx, id, s.user(t).id(), "admin"), "", http.StatusNotFound)

	phone := dave.openLive("phone")
	if err := alice.SetRole(ctx, id, carol.id(), "admin"); err != nil {
		t.Fatal(err)
	}
	phone.changed(id, "updated")
	if n := dave.wantNotice(id, alice, "role_changed", carol); n.Body["role"] != "admin" {
		t.Errorf("notice %+v, want the role", n)
	}
	refused(t, carol.SetRole(ctx, id, dave.id(), "admin"), "forbidden", http.StatusForbidden)
	head := dave.conversation(id).Head
	if err := alice.SetRole(ctx, id, carol.id(), "admin"); err != nil {
		t.Errorf("the same role again: %v", err)
	}
	if got := dave.conversation(id).Head; got != head {
		t.Errorf("the same role again made a notice: head %d, want %d", got, head)
	}

	// Hand-over: one owner at any time.
	if err := alice.SetRole(ctx, id, bob.id(), "owner"); err != nil {
		t.Fatalf("hand over: %v", err)
	}
	dave.wantRoles(id, map[client.UserID]string{alice.id(): "admin", bob.id(): "owner", carol.id(): "admin", dave.id(): "member"})
	refused(t, alice.SetRole(ctx, id, alice.id(), "owner"), "forbidden", http.StatusForbidden)
	refused(t, lastError(alice.Dissolve(ctx, id)), "forbidden", http.StatusForbidden)
	if err := bob.SetRole(ctx, id, alice.id(), "member"); err != nil {
		t.Errorf("the new owner gives a role: %v", err)
	}

	// An owner who leaves hands the group to an admin before a member; the last one's leaving ends it.
	for _, step := range []struct{ leaves, next *actor }{{bob, carol}, {carol, nil}} {
		if err := step.leaves.RemoveMember(ctx, id, step.leaves.id()); err != nil {
			t.Fatalf("owner leaves: %v", err)
		}
		roles := dave.roles(id)
		owners := 0
		for user, role := range roles {
			if role == "owner" {
				owners++
				if step.next != nil && user != step.next.id() {
					t.Fatalf("%s inherits, want %s", user, step.next.id())
				}
			}
		}
		if owners != 1 {
			t.Fatalf("%d owners: %v", owners, roles)
		}
	}
	for _, one := range []*actor{alice, dave} {
		if err := one.RemoveMember(ctx, id, one.id()); err != nil {
			t.Fatalf("leave: %v", err)
		}
	}
	dave.stranger(id, "9007199254740993")
}

// groupDissolve: a dissolved group is gone, but what was received stays in the mailboxes.
func groupDissolve(t *testing.T, s *system) {
	alice, bob := s.user(t), s.user(t)
	id := alice.group(bob)
	sent := bob.say(id, "words that stay")
	phone, laptop := alice.openLive("phone"), bob.openLive("laptop")
	refused(t, lastError(bob.Dissolve(within(t, patience), id)), "forbidden", http.StatusForbidden)
	gone, err := alice.Dissolve(within(t, patience), id)
	if err != nil {
		t.Fatalf("dissolve: %v", err)
	}
	if gone.ConversationID != id || gone.Head != 3 || gone.LastMessage == nil || gone.LastMessage.ConversationSeq != 3 {
		t.Errorf("the group that was dissolved: %+v, want it with the notice as its last message", gone)
	}
	phone.changed(id, "removed")
	laptop.changed(id, "removed")
	for _, one := range []*actor{alice, bob} {
		got := of(id, one.wholeMailbox())
		if len(got) != 3 || got[1].MessageID != sent.Message.MessageID {
			t.Fatalf("mailbox of %s: %+v", one.id(), got)
		}
		if event, _ := noticed(got[2]); event != "group_dissolved" {
			t.Errorf("last message %+v, want the notice", got[2])
		}
		one.stranger(id, sent.Message.MessageID)
	}
}

// groupBlock: a block is about direct messages; in a group both go on.
func groupBlock(t *testing.T, s *system) {
	alice, bob := s.user(t), s.user(t)
	id := alice.group(bob)
	if err := bob.Block(within(t, patience), alice.id()); err != nil {
		t.Fatal(err)
	}
	said := alice.say(id, "in the group")
	if got := of(id, bob.wholeMailbox()); len(got) != 2 || got[1].MessageID != said.Message.MessageID {
		t.Errorf("bob got %+v", got)
	}
	_, err := alice.Send(within(t, patience), client.Text(bob.id(), uuid.NewString(), "directly"))
	refused(t, err, "blocked", http.StatusForbidden)
}

// groupAudience: see raceAudience.
func groupAudience(t *testing.T, s *system) { raceAudience(t, []*system{s}, 6, 50) }

// raceAudience runs senders against people who come and go. The notices are in the same order as the messages, so they tell
// who belonged at each conversation_seq: exactly those, and nobody else, have it in their mailbox.
func raceAudience(t *testing.T, nodes []*system, churners, rounds int) {
	t.Helper()
	at := func(i int) *system { return nodes[i%len(nodes)] }
	owner, admin := at(0).user(t), at(1).user(t)
	stay := []*actor{at(0).user(t), at(1).user(t)}
	var come []*actor
	for i := range churners {
		come = append(come, at(i).user(t))
	}
	id := owner.group(append([]*actor{admin}, stay...)...)
	if err := owner.SetRole(within(t, patience), id, admin.id(), "admin"); err != nil {
		t.Fatal(err)
	}
	churned := make(chan struct{})
	group, ctx := errgroup.WithContext(within(t, 3*patience))
	var accepted sync.Map // message_id → sender
	send := func(one *client.Session, text string) error {
		sent, err := one.Send(ctx, client.TextIn(id, uuid.NewString(), text))
		if err == nil {
			accepted.Store(sent.Message.MessageID, one.User.UserID)
		}
		return err
	}
	var churn errgroup.Group
	for i, one := range come {
		by := []*client.Session{owner.Session, admin.Session}[i%2]
		outcasts := func() error { // at most one of its sends is under way at any time
			for n := 0; ; n++ {
				select {
				case <-churned:
					return nil
				default:
				}
				err := send(one.Session, fmt.Sprintf("churner %d: %d", i, n))
				if problem, ok := client.AsProblem(err); err != nil && (!ok || problem.Status != http.StatusNotFound) {
					return fmt.Errorf("send of churner %d: %w", i, err)
				}
			}
		}
		if i%3 == 0 {
			group.Go(outcasts)
		}
		churn.Go(func() error {
			for n := range rounds {
				if err := by.AddMembers(ctx, id, one.id()); err != nil {
					return fmt.Errorf("add %d: %w", i, err)
				}
				remover := one.Session
				if n%2 == 0 {
					remover = by
				}
				if err := remover.RemoveMember(ctx, id, one.id()); err != nil {
					return fmt.Errorf("remove %d: %w", i, err)
				}
			}
			return nil
		})
	}
	for i := range 6 {
		one := stay[i%len(stay)]
		group.Go(func() error {
			for n := 0; ; n++ {
				select {
				case <-churned:
					return nil
				default:
				}
				if err := send(one.Session, fmt.Sprintf("sender %d: %d", i, n)); err != nil {
					return fmt.Errorf("send: %w", err)
				}
			}
		})
	}
	group.Go(func() error {
		defer close(churned)
		return churn.Wait()
	})
	if err := group.Wait(); err != nil {
		t.Fatal(err)
	}

	all := owner.wholeHistory(id, 0)
	wanted := audience(t, all, ids(append([]*actor{owner, admin}, stay...)))
	t.Logf("%d changes, %d messages in all", 2*churners*rounds, len(all))
	for _, one := range append(append([]*actor{owner, admin}, stay...), come...) {
		got := of(id, one.wholeMailbox())
		want := wanted[one.id()]
		for i := range max(len(got), len(want)) {
			if i >= len(got) || i >= len(want) || got[i].ConversationSeq != want[i] || difference(all[want[i]-1], got[i]) != "" {
				t.Fatalf("mailbox of %s has %d messages, want %d, and the first that is another one is no. %d", one.id(), len(got), len(want), i)
			}
		}
	}
	kept := map[client.MessageID]client.UserID{}
	for _, m := range all {
		if m.Type == "text" {
			kept[m.MessageID] = m.SenderID
		}
	}
	accepted.Range(func(message, sender any) bool {
		if kept[message.(client.MessageID)] != sender.(client.UserID) {
			t.Errorf("message %s was accepted and is not there", message)
		}
		delete(kept, message.(client.MessageID))
		return true
	})
	if len(kept) != 0 {
		t.Errorf("%d messages that nobody was told to be accepted", len(kept))
	}
}

// audience works out from a group's messages at which conversation_seqs each of its people belonged to it: with the notice
// that brought them in, without the one that took them out. A sender must have belonged.
func audience(t *testing.T, all []client.Message, first []client.UserID) map[client.UserID][]int64 {
	t.Helper()
	members := map[client.UserID]bool{}
	for _, user := range first {
		members[user] = true
	}
	wanted := map[client.UserID][]int64{}
	for _, m := range all {
		event, users := noticed(m)
		for _, user := range users {
			switch event {
			case "members_added":
				if members[user] {
					t.Fatalf("%d adds %s twice", m.ConversationSeq, user)
				}
				members[user] = true
			case "member_left", "member_removed":
				if !members[user] {
					t.Fatalf("%d takes %s out twice", m.ConversationSeq, user)
				}
				delete(members, user)
			}
		}
		if event == "" && !members[m.SenderID] {
			t.Fatalf("%d is of %s, who did not belong", m.ConversationSeq, m.SenderID)
		}
		for user := range members {
			wanted[user] = append(wanted[user], m.ConversationSeq)
		}
	}
	return wanted
}
