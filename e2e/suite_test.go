package e2e

import "testing"

// behaviour is one promise. Those of the first list share one server a backend, so their users are their own and they
// leave the server as it was; those of the second start (and kill, stop, restart) servers of their own.
type behaviour struct {
	name string
	run  func(t *testing.T, s *system)
}

var behaviours = []behaviour{
	{"six packets", sixPackets},
	{"a lost answer to a send", lostSendAnswer},
	{"a lost push or ack", lostPush},
	{"a lost answer to an ack", lostAckAnswer},

	{"racing sends with one key", racingKey},
	{"a key with other content", reusedKey},
	{"the key in the header", headerKey},
	{"a group's key", groupKey},
	{"a key around the window", keyAroundWindow},
	{"a key belongs to its sender", keyOfAnother},
	{"racing first messages make one conversation", racingFirstMessages},

	{"a cursor reader sees no hole", cursorReader},
	{"a page agrees with its head", pageAndHead},

	{"mailbox paging", mailboxPaging},
	{"mailbox sync acks the page before", mailboxSync},
	{"mailbox position lost", mailboxPositionLost},
	{"mailbox ack", mailboxAck},
	{"mailbox ack position lost", mailboxAckPositionLost},
	{"mailbox summary", mailboxSummary},

	{"socket hello", socketHello},
	{"socket backlog then synced", socketBacklog},
	{"socket more than 100 waiting", socketBehindOnConnect},
	{"socket last_seq acks", socketLastSeq},
	{"socket last_id mismatch", socketReset},
	{"socket of a new device", socketNewDevice},
	{"socket resumes where the device was", socketResume},
	{"socket by ticket", socketTicket},
	{"socket refusals", socketRefusals},
	{"socket origin", socketOrigin},
	{"socket client data", socketClientData},
	{"socket same device again", socketReplaced},
	{"socket several devices", socketDevices},
	{"socket logout", socketLogout},
	{"socket answers protocol pings", socketPing},
	{"socket of a slow reader", slowReader},

	{"register", register},
	{"login", login},
	{"refresh rotation", refreshRotation},
	{"logout", logout},
	{"change of a password", passwordChange},
	{"profile", profile},
	{"user search", userSearch},
	{"block", block},
	{"messages from strangers", messagesFromStrangers},
	{"racing strangers", racingStrangers},

	{"group create", groupCreate},
	{"group change", groupChange},
	{"group members", groupMembers},
	{"group remove and leave", groupRemove},
	{"group strangers", groupStrangers},
	{"group roles", groupRoles},
	{"group dissolve", groupDissolve},
	{"group and block", groupBlock},
	{"group audience is exact", groupAudience},
	{"group powers by role", groupPowers},
	{"group mute", groupMute},
	{"group announcement", groupAnnouncement},
	{"preferences", preferences},
	{"typing", typingFrames},

	{"history pages", historyPages},
	{"history of who joined later", historyOfWhoJoined},
	{"history opened to who joined later", historyOpened},
	{"conversation list", conversationList},
	{"reading", reading},
	{"unread equals a recount", unreadRecount},
	{"receipts of a message", messageReceipts},
	{"receipts by pages", receiptPages},
	{"deleted for me", deletedForMe},
	{"the feed of what I deleted", deletedFeed},
	{"devices", devices},
	{"device removal", deviceRemoval},
	{"presence", presence},
	{"bad presence calls", badPresence},
	{"recall", recall},
	{"recall and a repeated push", recallRepeatedPush},
	{"reply", reply},
	{"mentions", mentions},
	{"bad mentions", badMentions},
	{"quotes", quotes},
	{"quotes and a repeated push", quoteRepeatedPush},

	{"files of a message", filesOfMessage},
	{"files in parts", fileParts},
	{"refused files", refusedFiles},
	{"names of files", fileNames},
	{"forwarded files", forwardedFiles},
	{"a recalled file", recalledFile},
	{"bad messages with files", badFileMessages},

	{"bad sends", badSends},
	{"bad bodies", badBodies},
	{"bad content types", badContentTypes},
	{"hostile but valid text", hostileText},
	{"bad mailbox calls", badMailboxCalls},
	{"bad ids in paths", badPathIDs},
	{"strangers see nothing", strangers},
	{"no token", noToken},
	{"unknown routes and methods", unknownRoutes},
	{"ids", freshIDs},

	{"health and docs", healthAndDocs},
	{"descriptions", descriptions},
}

var ownServerBehaviours = []struct {
	name string
	run  func(t *testing.T, b backend)
}{
	{"a key after a restart", keyAfterRestart},
	{"kill under load", killUnderLoad},
	{"un-acked until the last attempt", lastAttempt},
	{"socket more than 256 un-acked", socketBehindInFlight},
	{"heartbeat", heartbeat},
	{"orderly stop", orderlyStop},
	{"access token expires", tokenExpiry},
	{"limits of groups and recalls", limits},
	{"log conversations", logConversations},
	{"receipts off above a size", receiptsOff},
	{"deleted for me in a large group", deletedInLog},
	{"device limit", deviceLimit},
	{"presence in a log group", presenceInLog},
	{"presence off", presenceOff},
	{"file bounds", fileBounds},
	{"a kill in an upload", killedUpload},
	{"a slow upload", slowUpload},
	{"files in S3", filesInS3},
	{"operators and what people write", operatorsContent},
}

func TestEmbedded(t *testing.T) { runOn(t, embedded) }
func TestMariaDB(t *testing.T)  { runOn(t, mariaDB) }

func runOn(t *testing.T, b backend) {
	t.Parallel()
	t.Run("own", func(t *testing.T) {
		t.Parallel()
		for _, behaviour := range ownServerBehaviours {
			t.Run(behaviour.name, func(t *testing.T) {
				t.Parallel()
				behaviour.run(t, b)
			})
		}
	})
	t.Run("shared", func(t *testing.T) {
		t.Parallel()
		s := b.start(t, patientWithAcks)
		for _, behaviour := range behaviours {
			t.Run(behaviour.name, func(t *testing.T) {
				t.Parallel()
				behaviour.run(t, s)
			})
		}
	})
}
