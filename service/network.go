package service

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"slices"
	"strings"

	"ackbox/model"
)

// knownNetworks is from how many networks, the latest ones, an account is known to have logged in. Guesses from each
// of them count apart from everybody else's: together with a limit it bounds all guesses at one account.
const knownNetworks = 8

// networkMark is how long the mark of a network is, in bytes before base64.
const networkMark = 12

// LoggedInFrom says whether a username's account has registered or logged in from a network, as Register and Login
// were told, and it is one of its latest 8. An account that does not exist has not.
func (a *Auth) LoggedInFrom(ctx context.Context, username, network string) (bool, error) {
	credential, err := a.store.CredentialByUsername(ctx, foldUsername(username))
	if model.CodeOf(err) == model.CodeNotFound {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	return slices.Contains(marksOf(credential.Networks), a.markOf(credential.UserID, network)), nil
}

// withNetwork is a credential's networks after a login from one, the latest first.
func (a *Auth) withNetwork(networks string, user model.UserID, network string) string {
	if network == "" {
		return networks
	}
	mark := a.markOf(user, network)
	marks := slices.DeleteFunc(marksOf(networks), func(other string) bool { return other == mark })
	marks = slices.Insert(marks, 0, mark)
	return strings.Join(marks[:min(len(marks), knownNetworks)], " ")
}

func marksOf(networks string) []string { return strings.Fields(networks) }

// markOf is what is kept of a network: who reads the database and has no secret learns neither where somebody was nor
// who was at the same place.
func (a *Auth) markOf(user model.UserID, network string) string {
	sum := hmac.New(sha256.New, a.tokens.secret)
	fmt.Fprintf(sum, "network of %d: %s", user, network)
	return base64.RawURLEncoding.EncodeToString(sum.Sum(nil)[:networkMark])
}
