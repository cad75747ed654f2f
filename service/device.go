package service

import (
	"context"
	"fmt"

	"ackbox/model"
)

// Devices is what a user does with their devices.
type Devices struct {
	store    *model.Store
	auth     *Auth
	delivery *Delivery
	presence *Presence // nil: off
}

// NewDevices wires the part. Without presence (nil), online is what this node knows.
func NewDevices(store *model.Store, auth *Auth, delivery *Delivery, presence *Presence) *Devices {
	return &Devices{store: store, auth: auth, delivery: delivery, presence: presence}
}

// DeviceState is a device, how much waits for it, and whether it is connected.
type DeviceState struct {
	model.Device
	Head    int64 // of the mailbox
	Pending int64
	Online  bool
}

// List is a user's devices, latest seen first.
func (d *Devices) List(ctx context.Context, user model.UserID) ([]DeviceState, error) {
	devices, err := d.store.DevicesOf(ctx, user)
	if err != nil {
		return nil, err
	}
	head, err := d.store.MailboxHead(ctx, user)
	if err != nil {
		return nil, err
	}
	online := map[model.DeviceID]bool{}
	if d.presence != nil {
		online = d.presence.DevicesOf(ctx, user)
	}
	for _, s := range d.delivery.sessionsOf(user) {
		online[s.Key.DeviceID] = true
	}
	list := make([]DeviceState, len(devices))
	for i, device := range devices {
		list[i] = DeviceState{Device: device, Head: head.Head, Pending: max(0, head.Head-max(device.Acked, head.Floor-1)), Online: online[device.DeviceID]}
	}
	return list, nil
}

// Forget deletes a device's position, ends the login that was last seen on it (all of that
// login's tokens) and closes its socket, on whichever node it is. The login that asks goes on
// (by; 0: none of them asks): ending that one is logging out. CodeNotFound when there is no such
// device.
func (d *Devices) Forget(ctx context.Context, key model.DeviceKey, by model.FamilyID) error {
	var device model.Device
	ends := false
	err := d.store.Tx(ctx, func(tx *model.Store) (err error) {
		if device, err = tx.DeleteDevice(ctx, key); err != nil {
			return err
		}
		if ends = device.Family != 0 && device.Family != by; !ends {
			return nil
		}
		return tx.RevokeFamily(ctx, device.Family, model.MillisOf(d.auth.now()))
	})
	if err != nil {
		return fmt.Errorf("forget a device: %w", err)
	}
	if ends {
		d.auth.revoked(ctx, key.UserID, device.Family)
	}
	d.delivery.Kick(key.UserID, func(s *Session) bool { return s.Key == key }, CloseToken, "the device was removed")
	d.delivery.relay.Forgotten(key)
	return nil
}
