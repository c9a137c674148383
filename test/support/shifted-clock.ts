/** Loaded before a program (`--import`): its wall clock is wrong by SHIFTED_CLOCK milliseconds, in all its threads. */
const by = Number(process.env['SHIFTED_CLOCK']);
const right = Date.now.bind(Date);
Date.now = () => right() + by;
