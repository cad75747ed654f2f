package service

import (
	"testing"
	"time"

	"ackbox/model"
)

// TestPushAfterCommit: a push is of a message that is stored. Here the first COMMIT never reaches the database, and the
// batch runs again with new ids: who is online is pushed what came of the second run, and nothing else.
func TestPushAfterCommit(t *testing.T) {
	t.Parallel()
	store, direct, proxy := behindProxy(t)
	n := newNode(t, store, standard, time.Now)
	audience, a, b := n.pair(t)
	bob := n.connect(t, model.DeviceKey{UserID: b, DeviceID: "phone"}, nil)
	bob.expect("hello 0 of 0", "synced 0")
	proxy.arm(cutBefore, 1)
	sent := n.write(t, audience, a, 1)
	equal(t, "cuts", proxy.made(), 1)
	push := bob.next()
	stored := wholeMailbox(t, direct, b)
	equal(t, "entries", len(stored), 1)
	if push.Type != "message" || push.Message.ID != stored[0].Message.ID || push.Message.ID != sent[0].Message.ID {
		t.Errorf("pushed a %s, %+v; stored is %+v", push.Type, push.Message, stored[0].Message)
	}
	bob.silent()
}

// TestReceiptAfterCommit: the sender hears of an ack that is stored. Here its COMMIT never reaches the database: there is
// no receipt, until the device has acked again.
func TestReceiptAfterCommit(t *testing.T) {
	t.Parallel()
	store, direct, proxy := behindProxy(t)
	n := newNode(t, store, standard, time.Now)
	audience, a, b := n.pair(t)
	alice := n.connect(t, model.DeviceKey{UserID: a, DeviceID: "phone"}, nil)
	alice.expect("hello 0 of 0", "synced 0")
	phone := model.DeviceKey{UserID: b, DeviceID: "phone"}
	_, err := n.acker.Ack(within(t), Ack{Key: phone, UpTo: seq(0)})
	must(t, err)
	n.write(t, audience, a, 1)
	alice.expect("message 1")
	proxy.arm(cutBefore, 1)
	_, err = n.acker.Ack(within(t), Ack{Key: phone, UpTo: seq(1)})
	wantError(t, err, model.CodeUnavailable)
	equal(t, "cuts", proxy.made(), 1)
	alice.silent()
	member, err := direct.MemberOf(t.Context(), audience.ConversationID, b)
	must(t, err)
	equal(t, "delivered", member.DeliveredSeq, 0)
	_, err = n.acker.Ack(within(t), Ack{Key: phone, UpTo: seq(1)})
	must(t, err)
	alice.expect("receipt delivered 1")
	alice.silent()
}
