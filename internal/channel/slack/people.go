package slack

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/slack-go/slack"

	"github.com/firstmate-ops/firstmate/internal/access"
)

const (
	// memberLife is how long it is remembered who somebody is, and staleLife how long
	// that will do while Slack does not say.
	memberLife = 5 * time.Minute
	staleLife  = time.Hour
	// mostMembers is how many are remembered.
	mostMembers = 5000
)

// member is what Slack says of somebody.
type member struct {
	own   bool   // a member of this workspace: no guest, no bot, nobody of another one
	email string // as Slack confirmed it; "" where it did not
	name  string
	at    time.Time
}

// memberOf judges what users.info says. Whatever it does not say counts against them.
func memberOf(u *slack.User, team string, at time.Time) member {
	m := member{name: clip(clean(u.RealName), 80), at: at}
	m.own = team != "" && (u.TeamID == team || slices.Contains(u.Enterprise.Teams, team)) &&
		!u.Deleted && !u.IsBot && !u.IsAppUser && !u.IsWorkflowBot && !u.IsConnectorBot &&
		!u.IsRestricted && !u.IsUltraRestricted && !u.IsStranger && !u.IsInvitedUser && u.ID != "USLACKBOT"
	if email := strings.ToLower(strings.TrimSpace(u.Profile.Email)); m.own && u.IsEmailConfirmed && strings.Count(email, "@") == 1 {
		m.email = email
	}
	return m
}

// speaker is who speaks; ok is false for somebody who is not answered. team is the
// workspace that the message names as theirs, "" where it names none.
func (b *Bot) speaker(ctx context.Context, user, team string) (s access.Speaker, ok bool, err error) {
	me, err := b.self(ctx)
	if err != nil {
		return access.Speaker{}, false, err
	}
	if !userID.MatchString(user) || user == me.user {
		return access.Speaker{}, false, nil
	}
	m, err := b.member(ctx, user, me.team)
	if err != nil {
		return access.Speaker{}, false, err
	}
	s = access.NewSpeaker(Channel, user, access.Signature)
	s.Name, s.Email = m.name, m.email
	return s, m.own && (team == "" || team == me.team || !strings.HasPrefix(team, "T")), nil
}

// member looks somebody up, or remembers them.
func (b *Bot) member(ctx context.Context, user, team string) (member, error) {
	b.mu.Lock()
	m, known := b.members[user]
	b.mu.Unlock()
	if known && time.Since(m.at) < memberLife {
		return m, nil
	}
	got, err, _ := b.looking.Do(user, func() (any, error) {
		var u *slack.User
		err := b.api.call(ctx, "users.info", func(ctx context.Context) (err error) {
			u, err = b.api.GetUserInfoContext(ctx, user)
			return err
		})
		if err != nil {
			return nil, err
		}
		fresh := memberOf(u, team, time.Now())
		b.mu.Lock()
		defer b.mu.Unlock()
		if len(b.members) >= mostMembers {
			clear(b.members)
		}
		b.members[user] = fresh
		return fresh, nil
	})
	if err != nil {
		if known && time.Since(m.at) < staleLife {
			return m, nil
		}
		return member{}, err
	}
	fresh, _ := got.(member)
	return fresh, nil
}
