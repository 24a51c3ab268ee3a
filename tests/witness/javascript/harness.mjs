// Runs checks one after the other and counts them as `cargo test` does, so that one last line can count everything.

// Where nothing happens for so long, nothing will.
const LONGEST_CHECK = 600_000;

const checks = [];

/** Adds a check; its name is a sentence. */
export function check(name, run) {
  checks.push({ name, run });
}

/** Runs the checks whose names contain one of the words, all when there are none. Gives the exit code. */
export async function runAll(words) {
  const chosen = checks.filter(({ name }) => words.length === 0 || words.some((word) => name.includes(word)));
  const failed = [];
  for (const one of chosen) {
    if (!(await passes(one))) failed.push(one);
  }
  for (const { name } of failed) console.log(`    ${name}`);
  const passed = chosen.length - failed.length;
  console.log(`test result: ${failed.length ? "FAILED" : "ok"}. ${passed} passed; ${failed.length} failed; 0 ignored`);
  return failed.length || (!chosen.length && !words.length) ? 1 : 0;
}

async function passes({ name, run }) {
  const timer = setTimeout(() => {
    console.log(`test javascript::${name} ... FAILED: nothing has happened for ${LONGEST_CHECK} ms`);
    process.exit(1);
  }, LONGEST_CHECK);
  try {
    await run();
  } catch (error) {
    console.log(error);
    console.log(`test javascript::${name} ... FAILED`);
    return false;
  } finally {
    clearTimeout(timer);
  }
  console.log(`test javascript::${name} ... ok`);
  return true;
}

/** The error with this code with which an action is refused. Anything else is an error. */
export async function refused(code, action) {
  let result;
  try {
    result = await action();
  } catch (error) {
    if (error.code === code) return error;
    throw error;
  }
  throw new Error(`${code} was expected and not ${JSON.stringify(result)}`);
}

/** Asks until the answer is true, and gives it. */
export async function eventually(question, what, seconds = 240) {
  const until = Date.now() + seconds * 1000;
  for (;;) {
    const answer = await question();
    if (answer) return answer;
    if (Date.now() > until) throw new Error(`not within ${seconds} s: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}
