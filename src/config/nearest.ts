/** The known word that somebody most likely meant; undefined when none is close. */
export function nearest(word: string, known: readonly string[]): string | undefined {
  const plain = strip(word);
  const ranked = known
    .map((candidate) => ({ candidate, distance: editDistance(plain, strip(candidate)) }))
    .sort((a, b) => a.distance - b.distance);
  const best = ranked[0];
  return best && best.distance <= Math.max(2, plain.length / 3) ? best.candidate : undefined;
}

/** `mqttPort`, `mqtt-port` and `MQTT_PORT` are one word. */
function strip(word: string): string {
  return word.slice(0, wordCharsMax).toLowerCase().replaceAll(/[-_]/g, '');
}

const wordCharsMax = 100;

/** Letters to insert, delete or replace (Levenshtein), one row of the table at a time. */
function editDistance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      const replaced = row[j - 1]! + (a[i - 1] === b[j - 1] ? 0 : 1);
      next.push(Math.min(replaced, row[j]! + 1, next[j - 1]! + 1));
    }
    row = next;
  }
  return row[b.length]!;
}
