import type { TakenWill } from '../store.ts';
import type { Beats } from './mqtt-beats.ts';
import type { Departures } from './mqtt-departures.ts';
import type { OwnInterests } from './mqtt-interests.ts';
import type { Recovery } from './mqtt-recovery.ts';
import type { View } from './mqtt-view.ts';
import type { WillsInHand } from './mqtt-wills.ts';

export interface SweepOptions {
  readonly beats: Beats;
  readonly wills: WillsInHand;
  readonly recovery: Recovery;
  readonly interests: OwnInterests;
  readonly departures: Departures;
}

/**
 * What is done about every second: the beat, what it says that time has done, and whatever failed before. Each step takes
 * a bounded bite and is as right when another node does it at the same time: scripts look again before they act.
 */
export class Sweep {
  readonly #options: SweepOptions;
  /** Kept in the whole deployment, as of the last beat. */
  sessions = 0;

  constructor(options: SweepOptions) {
    this.#options = options;
  }

  /** @returns wills to send; those that were found before a step failed come with the next. @throws Unavailable */
  async run(view: View | undefined): Promise<TakenWill[]> {
    const { recovery, departures, interests, wills } = this.#options;
    await this.#beat(view);
    await recovery.resume();
    await departures.retry();
    await interests.tell();
    await wills.settle();
    return wills.collect();
  }

  async #beat(view: View | undefined): Promise<void> {
    const { beats, recovery, departures, wills } = this.#options;
    const beat = await beats.beat(false);
    if (!beat) return recovery.recover();
    this.sessions = beat.sessions;
    await departures.lapse(beat.due, '');
    await departures.lapse(beat.clientsOfDead, beat.dead);
    await departures.endQueues(beat.ended);
    if (beat.taken > 0) await wills.adopt();
    await view?.check(beat.announced);
  }
}
