package event

import "time"

// How long an event is tried, and how often.
const (
	// RetryFor is how long after an event, or its replay, it is tried; then it is dead.
	RetryFor = 3 * 24 * time.Hour
	// firstRetry and longestRetry bound the time between two attempts at one event.
	firstRetry, longestRetry = 10 * time.Second, 8 * time.Hour
	// longestRest bounds how long a receiver that does not answer is left alone.
	longestRest = 5 * time.Minute
)

// RetryAfter is how long to wait after a number of failed attempts, from 1: three times as long each
// time, to eight hours. jitter, from 0 to below 1, takes off up to half, so that what failed
// together is not tried together again.
func RetryAfter(failed int, jitter float64) time.Duration {
	return backoff(failed, firstRetry, 3, longestRetry, jitter)
}

// RestAfter is how long a receiver that failed a number of times in a row is asked for no event
// at all: twice as long each time, from a second to five minutes.
func RestAfter(failed int, jitter float64) time.Duration {
	return backoff(failed, time.Second, 2, longestRest, jitter)
}

func backoff(failed int, first time.Duration, times int, longest time.Duration, jitter float64) time.Duration {
	wait := first
	for i := 1; i < failed && wait < longest; i++ {
		wait *= time.Duration(times)
	}
	wait = min(wait, longest)
	return wait - time.Duration(jitter*float64(wait)/2)
}
