"""The page's words for what comes after the upload, in both languages."""

RESULTS_ENGLISH: dict[str, str] = {
    "analysis_waiting": "Analysis under way",
    "analysis_failed": "Analysis failed",
    "analysis_gone": "AiKYNETIX no longer knows this take",
    "analysis_not_seen": "Analysis not seen",
    "analysis_bare": "Analysed, but without numbers",
    "analysis_look": "Look again",
    "analysis_more_one": "1 more number",
    "analysis_more": "{n} more numbers",
    "said_looking": "It is being looked for again.",
    "figure_yes": "yes",
    "figure_no": "no",
    "video_play": "Analysed video",
    "video_label": "Analysed video of the take of {name}",
}

RESULTS_GERMAN: dict[str, str] = {
    "analysis_waiting": "Wird ausgewertet",
    "analysis_failed": "Auswertung misslungen",
    "analysis_gone": "AiKYNETIX kennt diesen Versuch nicht mehr",
    "analysis_not_seen": "Auswertung nicht gekommen",
    "analysis_bare": "Ausgewertet, aber ohne Zahlen",
    "analysis_look": "Noch einmal nachsehen",
    "analysis_more_one": "1 weitere Zahl",
    "analysis_more": "{n} weitere Zahlen",
    "said_looking": "Es wird noch einmal nachgesehen.",
    "figure_yes": "ja",
    "figure_no": "nein",
    "video_play": "Ausgewertetes Video",
    "video_label": "Ausgewertetes Video des Versuchs von {name}",
}
