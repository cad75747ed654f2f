package bench

import (
	"fmt"
	"os"
	"testing"
	"time"
)

// passesOf registers users and groups them with somebody who is never online, and gives the ways into their accounts.
func passesOf(t *testing.T, f *fakeService, o Options, contacts int) (passes []Pass, away *User) {
	t.Helper()
	registered, err := o.population(t.Context(), 0, o.Clients+1)
	if err != nil {
		t.Fatal(err)
	}
	away = registered[o.Clients]
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, u := range registered[:o.Clients] {
		p := Pass{Name: u.Name, Refresh: u.refresh}
		for i := range contacts {
			g := &fakeGroup{id: fmt.Sprintf("7%s%d", u.ID, i), members: []*fakeUser{f.users[u.ID], f.users[away.ID]}, acked: map[*fakeUser]int{}}
			f.groups[g.id] = g
			p.Contacts = append(p.Contacts, g.id)
		}
		passes = append(passes, p)
	}
	return passes, away
}

// Accounts that were there are signed in without a password, and every second message of theirs goes to their contacts in turn,
// who are waited for by nobody.
func TestAdoptedUsersWriteToTheirContacts(t *testing.T) {
	f := newFakeService(t)
	o := quick(f)
	const contacts = 3
	passes, away := passesOf(t, f, o, contacts)
	f.mu.Lock()
	accounts := len(f.users)
	f.mu.Unlock()
	users, err := Adopt(t.Context(), o, 0, passes)
	if err != nil {
		t.Fatal(err)
	}
	f.mu.Lock()
	if f.renewed != len(passes) || len(f.users) != accounts {
		t.Errorf("%d tokens used for %d passes, %d accounts made", f.renewed, len(passes), len(f.users)-accounts)
	}
	f.mu.Unlock()
	o.Accounts = NewAccounts(users, nil)
	r := measureOne(t, o, "send")
	if err := r.Err(); err != nil || len(r.Errors) > 0 {
		t.Errorf("got %v, errors %v", err, r.Errors)
	}
	sent := int(value(t, r, "sent"))
	f.mu.Lock()
	got := len(f.users[away.ID].entries)
	if got < sent/2-len(users) || got > sent/2 || got == 0 {
		t.Errorf("%d of %d messages went to those who are away", got, sent)
	}
	for _, p := range passes {
		least, most := len(f.groups[p.Contacts[0]].messages), 0
		for _, id := range p.Contacts {
			least, most = min(least, len(f.groups[id].messages)), max(most, len(f.groups[id].messages))
		}
		if most-least > 1 {
			t.Errorf("one contact of %s got %d messages, another %d", p.Name, least, most)
		}
	}
	f.mu.Unlock()
	if pushes := value(t, r, "pushes_per_s"); pushes <= 0 {
		t.Errorf("nobody who is online was shown anything: %v", r.Figures)
	}

	f.mu.Lock()
	f.expires = time.Hour
	f.mu.Unlock()
	r = measureOne(t, o, "rate") // the same accounts go on where they are
	if err := r.Err(); err != nil || len(r.Errors) > 0 {
		t.Errorf("rate: got %v, errors %v", err, r.Errors)
	}
}

// What is lost between those who are online is found beside contacts too.
func TestContactsHideNoLoss(t *testing.T) {
	f := newFakeService(t)
	f.losePush = 7
	o := quick(f)
	o.Settle = 200 * time.Millisecond
	passes, _ := passesOf(t, f, o, 1)
	users, err := Adopt(t.Context(), o, 0, passes)
	if err != nil {
		t.Fatal(err)
	}
	o.Accounts = NewAccounts(users, nil)
	if r := measureOne(t, o, "send"); r.Err() == nil {
		t.Errorf("nothing was missed: %v", r.Figures)
	}
}

// Sockets stay open beside a scenario, until they are closed.
func TestHold(t *testing.T) {
	f := newFakeService(t)
	o := quick(f)
	idlers, err := o.population(t.Context(), o.Clients, o.IdleUsers)
	if err != nil {
		t.Fatal(err)
	}
	held, err := Hold(t.Context(), o, idlers)
	if err != nil {
		t.Fatal(err)
	}
	defer held.Close()
	r := measureOne(t, o, "send")
	if err := r.Err(); err != nil {
		t.Error(err)
	}
	if held.Open() != int64(o.Connections) {
		t.Errorf("%d of %d sockets are open", held.Open(), o.Connections)
	}
	f.mu.Lock()
	var devices int
	for _, u := range idlers {
		for n := range o.Connections {
			if f.users[u.ID].sockets[IdleDevice(n)] != nil {
				devices++
			}
		}
	}
	f.mu.Unlock()
	if devices != o.Connections {
		t.Errorf("the service has %d of %d sockets", devices, o.Connections)
	}
	if rss, err := ResidentMemory(os.Getpid()); err != nil || rss < 1<<20 {
		t.Errorf("this process has %d bytes (%v)", rss, err)
	}
	f.Close() // who can't open any says so
	if _, err := Hold(t.Context(), o, idlers); err == nil {
		t.Error("sockets were opened to nobody")
	}
}
