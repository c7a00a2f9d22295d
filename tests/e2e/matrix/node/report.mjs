// One JSON line per check. A check that fails does not keep the next one from being tried.

export async function check(name, run) {
  let timer
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error('no answer in 30 s')), 30000)
  })
  try {
    await Promise.race([run(), late])
    console.log(JSON.stringify({ check: name, ok: true }))
  } catch (error) {
    console.log(JSON.stringify({ check: name, ok: false, error: `${error.code ?? ''} ${error.message}` }))
  } finally {
    clearTimeout(timer)
  }
}

export function ensure(holds, what) {
  if (!holds) throw new Error(what)
}

export async function sqlstate(asked, wanted) {
  let code = 'none: it was not refused'
  try {
    await asked
  } catch (error) {
    code = error.code
  }
  ensure(code === wanted, `SQLSTATE ${code}, not ${wanted}`)
}

export const BYTES = Buffer.from(Array.from({ length: 256 }, (_, byte) => byte))
export const VALUE = '0123456789abcdef'.repeat(262144)
export const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms))
