package e2e

import (
	"fmt"
	"net/http"
	"testing"
	"time"

	"ackbox/client"
)

// login signs the actor in once more, as a device of their own does.
func (a *actor) login(s *system) *actor {
	a.t.Helper()
	session, err := s.client.Login(within(a.t, patience), client.Credentials{Username: a.User.Username, Password: password})
	if err != nil {
		a.t.Fatalf("login: %v", err)
	}
	return &actor{Session: session, t: a.t}
}

// device is one of the actor's devices by name.
func (a *actor) device(name string) client.Device {
	a.t.Helper()
	list, err := a.Devices(within(a.t, patience))
	if err != nil {
		a.t.Fatal(err)
	}
	for _, d := range list {
		if d.DeviceID == name {
			return d
		}
	}
	a.t.Fatalf("no device %q in %+v", name, list)
	return client.Device{}
}

// forget removes a device, which must be there.
func (a *actor) forget(name string) {
	a.t.Helper()
	if err := a.Forget(within(a.t, patience), name); err != nil {
		a.t.Fatalf("forget %s: %v", name, err)
	}
}

// ended checks that neither of the login's tokens works any more.
func (a *actor) ended(s *system) {
	a.t.Helper()
	_, err := a.Me(within(a.t, patience))
	refused(a.t, err, "token_revoked", http.StatusUnauthorized)
	_, err = a.Connect(within(a.t, patience), client.Dial{Device: "phone"})
	refused(a.t, err, "token_revoked", http.StatusUnauthorized)
	_, err = s.client.Refresh(within(a.t, patience), a.RefreshToken)
	refused(a.t, err, "token_revoked", http.StatusUnauthorized)
}

// deviceRemoval: a device that is removed is out, with all its tokens; other logins stay.
func deviceRemoval(t *testing.T, s *system) { removeDevices(t, s, s) }

// crossDeviceRemoval: the same from another node.
func crossDeviceRemoval(t *testing.T, a, b *system) { removeDevices(t, a, b) }

// removeDevices has the phone on a node and removes it on another, or the same.
func removeDevices(t *testing.T, here, there *system) {
	alice, laptop := here.user(t), here.user(t)
	phone := laptop.login(here)
	socket := phone.openLive("phone")
	kept := laptop.openLive("laptop")
	alice.send(laptop, "hi")

	remote := laptop.at(there)
	if d := remote.device("laptop"); !d.Current || d.Acked != 0 || d.Pending != 1 {
		t.Errorf("the device that asks: %+v", d)
	}
	if d := remote.device("phone"); d.Current || time.Since(d.LastSeenAt) > time.Hour {
		t.Errorf("another device: %+v", d)
	}
	remote.forget("phone")
	socket.endsWith(4001)
	phone.at(there).ended(there)
	if here != there { // word of it travels; the socket's end says that it has arrived
		phone.ended(here)
	}
	kept.alive()

	// A device that connected by an older login and acks by a newer one belongs to the newer.
	older, newer := laptop.login(here), laptop.login(here)
	tablet := older.openLive("tablet")
	newer.ack("tablet", 1, 1)
	remote.forget("tablet")
	tablet.endsWith(4001)
	newer.at(there).ended(there)
	if _, err := older.Me(within(t, patience)); err != nil {
		t.Errorf("a login that the device had given up: %v", err)
	}

	// Several of one login, as a program has that logs in once; the last is one's own. The login goes on.
	remote.ack("tablet", 1, 1)
	remote.forget("tablet")
	kept.alive()
	remote.forget("laptop")
	kept.endsWith(4001)
	if list, err := remote.Devices(within(t, patience)); err != nil || len(list) != 0 {
		t.Errorf("after one's own device was removed: %+v, %v", list, err)
	}
	if _, err := here.client.Refresh(within(t, patience), remote.RefreshToken); err != nil {
		t.Errorf("the login that asked: %v", err)
	}
}

// deviceLimit: beyond the most, a new device takes the place of the longest unseen.
func deviceLimit(t *testing.T, b backend) {
	s := b.start(t, "ACKBOX_DEVICES_MAX=3")
	alice, bob := s.user(t), s.user(t)
	alice.fill(bob, 5)
	for n := range 3 {
		bob.ack(fmt.Sprintf("device-%d", n), 2, 2)
		tick(t) // times are milliseconds: no two devices are seen at one
	}
	bob.ack("device-0", 3, 3) // seen again: now device-1 is the one unseen for longest
	tick(t)
	bob.ack("device-3", 4, 4)
	list, err := bob.Devices(within(t, patience))
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, d := range list {
		names = append(names, d.DeviceID)
	}
	if got := fmt.Sprint(names); got != "[device-3 device-0 device-2]" {
		t.Fatalf("devices %s", got)
	}
	if d := bob.device("device-0"); d.Acked != 3 || d.Pending != 2 {
		t.Errorf("a device that stayed: %+v", d)
	}
	back := bob.open(client.Dial{Device: "device-1"})
	if back.hello.Acked != 0 {
		t.Errorf("a device that was replaced comes back at %d, want as new", back.hello.Acked)
	}
	back.pushes(1, 5)
	if list, err = bob.Devices(within(t, patience)); err != nil || len(list) != 3 {
		t.Errorf("devices %+v, %v", list, err)
	}
}

// tick waits for the next millisecond of the clock.
func tick(t *testing.T) {
	t.Helper()
	select {
	case <-time.After(2 * time.Millisecond):
	case <-within(t, patience).Done():
		t.Fatal("no time passes")
	}
}
