package service

import (
	"bytes"
	"image"
	"image/png"
	"testing"
	"time"

	"ackbox/model"
)

// TestPictures: an uploaded image that is somebody's picture is seen by everybody, a group's by its members, for as long
// as it is the picture; then it goes.
func TestPictures(t *testing.T) {
	onBothBackends(t, func(t *testing.T, store *model.Store) {
		files, blobs, clock := newFiles(store)
		n := newNode(t, store, standard, newHandClock().now) // its leases stay
		groups := n.groups()
		me, friend, stranger := n.user(t), n.user(t), n.user(t)
		var drawn bytes.Buffer
		must(t, png.Encode(&drawn, image.NewGray(image.Rect(0, 0, 2, 2))))
		upload := func(owner model.UserID) (model.FileID, string) {
			t.Helper()
			file, err := files.Upload(t.Context(), Upload{Owner: owner, Name: "me.png", ContentType: "image/png", Size: int64(drawn.Len()), Content: bytes.NewReader(drawn.Bytes())})
			must(t, err)
			return file.ID, model.PicturePath + file.ID.String()
		}
		sees := func(user model.UserID, id model.FileID) bool {
			t.Helper()
			_, r, err := files.Open(t.Context(), user, id)
			if err == nil {
				must(t, r.Close())
			} else if model.CodeOf(err) != model.CodeNotFound {
				t.Fatal(err)
			}
			return err == nil
		}
		profile := func(user model.UserID, url string) error {
			_, err := NewUsers(store, &Auth{now: clock.now}).Update(t.Context(), user, Profile{AvatarURL: &url})
			return err
		}
		first, firstURL := upload(me)
		if sees(friend, first) {
			t.Error("an upload is seen before it is a picture")
		}
		must(t, profile(me, firstURL))
		must(t, profile(me, firstURL))
		if code := model.CodeOf(profile(friend, firstURL)); code != model.CodeNotFound {
			t.Errorf("another's upload as a picture: %v", code)
		}
		clock.step(48 * time.Hour)
		must(t, files.RemoveDue(t.Context()))
		if !sees(friend, first) || !sees(stranger, first) {
			t.Error("a picture is not seen, or was removed as an orphan")
		}

		group, _, err := groups.Create(t.Context(), me, "", "group", []model.UserID{friend})
		must(t, err)
		second, secondURL := upload(me)
		_, err = groups.Update(t.Context(), friend, group.ID, GroupChange{AvatarURL: &secondURL})
		if model.CodeOf(err) != model.CodeForbidden {
			t.Errorf("a member changes the picture: %v", err)
		}
		view, err := groups.Update(t.Context(), me, group.ID, GroupChange{AvatarURL: &secondURL})
		must(t, err)
		if view.AvatarURL != secondURL || !sees(friend, second) || sees(stranger, second) {
			t.Errorf("the group's picture is %q; seen by a member: %v, by a stranger: %v", view.AvatarURL, sees(friend, second), sees(stranger, second))
		}
		must(t, groups.Add(t.Context(), me, group.ID, []model.UserID{stranger}))
		if !sees(stranger, second) {
			t.Error("who joins later does not see the group's picture")
		}

		nothing := ""
		must(t, profile(me, nothing))
		_, err = groups.Update(t.Context(), me, group.ID, GroupChange{AvatarURL: &nothing})
		must(t, err)
		clock.step(time.Minute)
		must(t, files.RemoveDue(t.Context()))
		if sees(me, first) || sees(me, second) || blobs.has() != 0 {
			t.Error("a picture of nobody is still there")
		}
	})
}
