"""From audio to utterances with participants' names. Asked by bots, answers by job."""
