package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"elicence/licence/event"
	"elicence/licence/registry"
	"elicence/licence/registry/subscriptions"
)

// eventCmd looks after who is told of licences, beside the running service.
type eventCmd struct {
	Subscribe   eventSubscribeCmd   `cmd:"" help:"Have a client told of licences that it may read."`
	List        eventListCmd        `cmd:"" help:"List the subscriptions."`
	Unsubscribe eventUnsubscribeCmd `cmd:"" help:"End a subscription, and forget what was still to be told by it."`
	Enable      eventEnableCmd      `cmd:"" help:"Serve a subscription again that the service disabled."`
	Dead        eventDeadCmd        `cmd:"" help:"List the events that a subscription was not told."`
	Replay      eventReplayCmd      `cmd:"" help:"Tell dead events of a subscription once more."`
}

// withTargets opens the register as with does, with what is needed to look at targets.
func (o *onRegister) withTargets(ctx context.Context, f eventFlags, use func(*instance) error) error {
	in, err := open(ctx, options{location: o.location, passphraseFile: o.PassphraseFile, registerOnly: true, events: f})
	if err != nil {
		return err
	}
	return errors.Join(use(in), in.close())
}

func printSubscription(s event.Subscription) {
	events := "all"
	if len(s.Events) > 0 {
		events = strings.Trim(fmt.Sprint(s.Events), "[]")
	}
	fmt.Printf("%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%d\t%s\n", s.ID, s.Status, s.Client, s.Authority.Code, s.Target(), strings.Join(s.TypeCodes, " "), events,
		s.StatusAt.Format(time.RFC3339), s.Failures, s.Reason)
}

type eventSubscribeCmd struct {
	onRegister
	eventFlags
	Client string   `required:"" help:"The client, an approval system or a partner, on whose right to read it rests."`
	URL    string   `name:"url" required:"" help:"Where events are posted to: https."`
	Type   []string `required:"" help:"Codes of the licence types."`
	Event  []string `help:"Types of events, as revoked (default: all)."`
}

func (s *eventSubscribeCmd) Run(ctx context.Context) error {
	q := subscriptions.Request{Key: commandKey(), Client: s.Client, URL: s.URL, TypeCodes: s.Type}
	for _, name := range s.Event {
		q.Events = append(q.Events, event.Type(event.Prefix+name))
	}
	return s.withTargets(ctx, s.eventFlags, func(in *instance) error {
		made, _, err := in.subscriptions.Subscribe(ctx, registry.System("command-line"), q)
		if err == nil {
			fmt.Println(made.ID)
		}
		return missing("client", s.Client, err)
	})
}

type eventListCmd struct{ onRegister }

func (l *eventListCmd) Run(ctx context.Context) error {
	return l.with(ctx, func(in *instance) error {
		fmt.Println("id\tstatus\tclient\tauthority\turl\ttypes\tevents\tsince\tfailures\treason")
		for q := (registry.SubscriptionQuery{Limit: registry.MaxPage}); ; {
			all, _, err := in.subscriptions.List(ctx, registry.System("command-line"), q)
			for _, s := range all {
				q.After = s.ID
				printSubscription(s)
			}
			if err != nil || len(all) < q.Limit {
				return err
			}
		}
	})
}

type eventUnsubscribeCmd struct {
	onRegister
	ID     string `arg:"" help:"The subscription."`
	Reason string `required:"" help:"Why; it stands in the log."`
}

func (u *eventUnsubscribeCmd) Run(ctx context.Context) error {
	return u.done(ctx, func(r *registry.Registry, c registry.Caller) error {
		_, err := subscriptions.New(r, nil).Unsubscribe(ctx, c, u.ID, registry.StatusRequest{Key: commandKey(), Reason: u.Reason})
		return missing("subscription", u.ID, err)
	})
}

type eventEnableCmd struct {
	onRegister
	eventFlags
	ID     string `arg:"" help:"The subscription."`
	Reason string `required:"" help:"Why; it stands in the log."`
}

func (e *eventEnableCmd) Run(ctx context.Context) error {
	return e.withTargets(ctx, e.eventFlags, func(in *instance) error {
		s, _, err := in.subscriptions.Enable(ctx, registry.System("command-line"), e.ID, registry.StatusRequest{Key: commandKey(), Reason: e.Reason})
		if err == nil {
			printSubscription(s)
		}
		return missing("subscription", e.ID, err)
	})
}

type eventDeadCmd struct {
	onRegister
	ID string `arg:"" help:"The subscription."`
}

func (d *eventDeadCmd) Run(ctx context.Context) error {
	return d.with(ctx, func(in *instance) error {
		fmt.Println("event\ttype\tlicence\ttime\tattempts\tfault")
		for after := int64(0); ; {
			all, _, err := in.subscriptions.Dead(ctx, registry.System("command-line"), d.ID, after, registry.MaxPage)
			for _, e := range all {
				after = e.Seq
				fmt.Printf("%s\t%s\t%s\t%s\t%d\t%s\n", e.Event.ID, e.Event.Type, e.Event.Subject, e.Event.Time.Format(time.RFC3339), e.Attempts, e.Fault)
			}
			if err != nil || len(all) < registry.MaxPage {
				return missing("subscription", d.ID, err)
			}
		}
	})
}

type eventReplayCmd struct {
	onRegister
	ID    string `arg:"" help:"The subscription."`
	Event string `help:"The one event (default: all that are dead)."`
}

func (p *eventReplayCmd) Run(ctx context.Context) error {
	return p.with(ctx, func(in *instance) error {
		for total := 0; ; {
			done, _, err := in.subscriptions.Replay(ctx, registry.System("command-line"), p.ID, p.Event, registry.StatusRequest{Key: commandKey(), Reason: "replay"})
			total += done.Events
			if err != nil || done.Events < subscriptions.MaxReplay {
				fmt.Printf("%d events are told again\n", total)
				return missing("subscription", p.ID, err)
			}
		}
	})
}
