"""The API's contract that this agent depends on: paths, fields, answers and errors.  Pure.

The client builds its requests from these facts and the sandbox judges and answers by them, so
neither can drift from the other.  `make contract` compares them with the vendor's description.
Schemas are plain JSON Schema: only `type`, `required`, `properties`, `additionalProperties`,
`items` and `enum` are used.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any
from urllib.parse import quote, urlencode

from agent.exercises import ACTIVITIES, EXERCISES

Schema = dict[str, Any]

PLANS_WITH_API = frozenset({"pro", "enterprise"})  # the others have no API access
ACTIVITY_LABELS = {  # what answers call an activity
    "running": "Running",
    "jumping": "Vertical Jump",
    "weightlifting": "Weightlifting",
}
FILTER_LIMIT = 10  # sessions on a page of the filter, unless more are asked for
USERS_LIMIT = 5  # the same for athletes

_TEXT: Schema = {"type": "string"}
_NUMBER: Schema = {"type": "number"}
_WHOLE: Schema = {"type": "integer"}
_TRUTH: Schema = {"type": "boolean"}


def _list(of: Schema) -> Schema:
    return {"type": "array", "items": of}


def _map(of: Schema) -> Schema:
    return {"type": "object", "additionalProperties": of}


def _object(required: Mapping[str, Schema], **optional: Schema) -> Schema:
    return {
        "type": "object",
        "required": sorted(required),
        "properties": {**required, **optional},
    }


_MOMENT = _object({}, date=_TEXT, time=_TEXT)
_WHOLE_MOMENT = _object({"date": _TEXT, "time": _TEXT})
_CURVE = _list(_NUMBER)
_LINK = _object({}, analyzed_video_url=_TEXT)
_SUCCESS = _object({}, success=_TEXT)
_MADE = _object({"session_id": _TEXT, "title": _TEXT})
_SESSIONS = _map({"type": "object"})
_ATHLETE = _object(
    {
        **dict.fromkeys(("created_at", "age", "phone", "display_name", "shoeSize"), _TEXT),
        **dict.fromkeys(("email", "gender", "brand", "shoeModel", "user_uid"), _TEXT),
        **dict.fromkeys(("weight", "ycom", "height", "leg_length"), _NUMBER),
    }
)
_JUMP_ANGLES = _object(
    dict.fromkeys(
        (
            *("hip_intersection_angle", "ank_angle", "rkne_angle", "lkne_angle"),
            *("kne_angle", "rank_angle", "lank_angle"),
        ),
        _CURVE,
    )
)
_JUMP: dict[str, Schema] = {
    "angles": _JUMP_ANGLES,
    "all_timestamps": _CURVE,
    "analyzed_video_url": _TEXT,
    "video_url": _TEXT,
    "created_at": _WHOLE_MOMENT,
    "user_name": _TEXT,
    "activity": _TEXT,
    "title": _TEXT,
    "end_frames": _list(_WHOLE),
    "metrics": _map(_CURVE),
}
_JUMP_CURVES = _object(
    dict.fromkeys(("hipy", "grf", "vhipy", "toey", "ahipy", "vtoey"), _CURVE),
)
_SESSION: dict[str, Schema] = {
    "running": _object(
        {
            "metrics": _map(_NUMBER),
            "angles": _map(_NUMBER),
            "all_timestamps": _CURVE,
            "activity": _TEXT,
        },
        analyzed_video_url=_TEXT,
        video_url=_TEXT,
        segments=_WHOLE,
        created_at=_MOMENT,
        user_name=_TEXT,
        title=_TEXT,
    ),
    "jumping": _object({**_JUMP, "whole_report_metrics": _JUMP_CURVES}),
    "weightlifting": _object(
        {
            "analyzed_video_url": _TEXT,
            "video_url": _TEXT,
            "created_at": _WHOLE_MOMENT,
            "exercise": _TEXT,
            "user_name": _TEXT,
            "activity": _TEXT,
            "title": _TEXT,
            "metrics": _map(_NUMBER),
            "angles": _map(_CURVE),
            "report_metrics": _map(_CURVE),
            "all_timestamps": _CURVE,
        }
    ),
}
_EXPORT: dict[str, Schema] = {
    "running": _object(
        {
            "metrics": _map(_NUMBER),
            "keypoints": _map(_CURVE),
            "angles": _map(_CURVE),
            "all_timestamps": _CURVE,
            "contact": _list(_TRUTH),
            "activity": _TEXT,
        }
    ),
    "jumping": _object({**_JUMP, "keypoints": _map(_CURVE)}),
    "weightlifting": _object(
        {
            "metrics": _map(_NUMBER),
            "keypoints": _map(_CURVE),
            "angles": _map(_CURVE),
            "all_timestamps": _CURVE,
            "activity": _TEXT,
        }
    ),
}
ERROR = _object({"error": _TEXT}, error_code=_TEXT)

_COMMON_FIELDS: dict[str, Schema] = {"session_name": _TEXT, "body_joint_angles": _TEXT}
_FIELDS: dict[str, dict[str, Schema]] = {
    "running": {"incline_degree": _TEXT},
    "jumping": {
        "incline_degree": _TEXT,
        "exercise": {"type": "string", "enum": list(EXERCISES["jumping"])},
    },
    "weightlifting": {
        "exercise_name": {"type": "string", "enum": list(EXERCISES["weightlifting"])},
        "barbell_mass": _TEXT,
    },
}
_REQUIRED_FIELDS = {
    "running": (),
    "jumping": ("exercise",),
    "weightlifting": ("exercise_name",),
}
NUMERIC_FIELDS = ("incline_degree", "barbell_mass")  # texts that must read as numbers

_USUAL_ERRORS = frozenset({400, 401, 403, 404, 500})


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """One thing that the API can be asked."""

    name: str
    activity: str = ""  # of an operation that each activity has for itself
    method: str
    path: str  # with {names} in it
    answer: Schema
    query: Mapping[str, Schema] = field(default_factory=dict)
    form: Schema | None = None  # of a multipart body, without the video, which is always required
    document: Schema | None = None  # of a JSON body
    errors: frozenset[int] = _USUAL_ERRORS

    def pattern(self) -> re.Pattern[str]:
        """Return what a path of this operation matches, with its names as groups."""
        return re.compile(re.sub(r"\{(\w+)\}", r"(?P<\1>[^/]+)", self.path))


def _upload(activity: str, *, on_behalf: bool) -> Operation:
    required = [*_REQUIRED_FIELDS[activity], *(["user_id"] if on_behalf else [])]
    fields = {**_COMMON_FIELDS, **_FIELDS[activity], **({"user_id": _TEXT} if on_behalf else {})}
    return Operation(
        name="upload_on_behalf" if on_behalf else "upload",
        activity=activity,
        method="POST",
        path=f"/{activity}/{'management/' if on_behalf else ''}sessions/",
        form={"type": "object", "required": required, "properties": fields},
        answer=_MADE,
    )


def _of_activity(activity: str) -> tuple[Operation, ...]:
    one = f"/{activity}/sessions/{{session_id}}/"
    return (
        _upload(activity, on_behalf=False),
        _upload(activity, on_behalf=True),
        Operation(
            name="session",
            activity=activity,
            method="GET",
            path=one,
            answer=_SESSION[activity],
        ),
        Operation(
            name="export",
            activity=activity,
            method="GET",
            path=f"{one}export/",
            answer=_EXPORT[activity],
        ),
    )


_RENDERING = "/session-management/sessions/{session_id}/analyzed-video/"
_FLAGS = {"is_jump": _TRUTH, "is_weight": _TRUTH}
_ONE_SESSION = "/session-management/sessions/{session_id}"
_FILTER = {
    **dict.fromkeys(("title", "user_id", "activity", "start_date", "end_date"), _TEXT),
    **dict.fromkeys(("start_after_id", "end_before_id"), _TEXT),
    "limit": _WHOLE,
}

OPERATIONS: tuple[Operation, ...] = (
    *(operation for activity in ACTIVITIES for operation in _of_activity(activity)),
    Operation(
        name="sessions",
        method="GET",
        path="/session-management/sessions/",
        answer=_object({}, sessions=_SESSIONS),
    ),
    Operation(
        name="find_sessions",
        method="GET",
        path="/session-management/sessions/filter/",
        query=_FILTER,
        answer=_object(
            {}, query_count=_WHOLE, sessions=_SESSIONS, first_doc_id=_TEXT, last_doc_id=_TEXT
        ),
    ),
    Operation(
        name="change_session",
        method="PUT",
        path=_ONE_SESSION,
        document=_object({}, title=_TEXT, created_at=_TEXT),
        answer=_SUCCESS,
    ),
    Operation(name="delete_session", method="DELETE", path=_ONE_SESSION, answer=_SUCCESS),
    Operation(name="rendering", method="GET", path=_RENDERING, query=_FLAGS, answer=_LINK),
    Operation(
        name="render",
        method="POST",
        path=_RENDERING,
        document=_object({}, **_FLAGS),
        answer=_LINK,
    ),
    Operation(
        name="organization_status",
        method="GET",
        path="/user-management/organization-status/",
        answer=_object(
            {
                "session_number": _WHOLE,
                "uid": _TEXT,
                "role": _TEXT,
                "payment_type": _TEXT,
                "activity": _list(_TEXT),
                "companyName": _TEXT,
                "name": _TEXT,
            }
        ),
        errors=frozenset({401, 403, 404, 500}),
    ),
    Operation(
        name="users",
        method="GET",
        path="/user-management/users/",
        answer=_object({"users": _list(_ATHLETE)}),
    ),
    Operation(
        name="find_users",
        method="GET",
        path="/user-management/users/filter/",
        query={"limit": _WHOLE, "start_after_id": _TEXT, "end_before_id": _TEXT},
        answer=_object(
            {
                "query_count": _WHOLE,
                "users": _list(_ATHLETE),
                "first_uid": _TEXT,
                "last_uid": _TEXT,
            }
        ),
        errors=frozenset({401, 403, 404, 500}),
    ),
    Operation(
        name="user",
        method="GET",
        path="/user-management/users/{user_uid}",
        answer=_ATHLETE,
    ),
)


@cache
def operation(name: str, activity: str = "") -> Operation:
    """Return the operation of a name, and of an activity where each has its own."""
    return next(o for o in OPERATIONS if o.name == name and o.activity == activity)


def path_of(name: str, activity: str = "", **values: str) -> str:
    """Return the path of an operation, with the values of its names in it."""
    quoted = {key: quote(value, safe="") for key, value in values.items()}
    return operation(name, activity).path.format(**quoted)


def query_of(name: str, **values: str) -> str:
    """Return the path of an operation that takes a query, with that query."""
    return f"{operation(name).path}?{urlencode(values)}"


def rendering_flags(activity: str) -> dict[str, bool]:
    """Return what the rendering of an activity's analysed video is asked with."""
    flag = {"jumping": "is_jump", "weightlifting": "is_weight"}.get(activity)
    return {} if flag is None else {flag: True}


def mismatches(value: object, schema: Schema, at: str = "") -> list[str]:
    """Return how a JSON value departs from a schema, a line for each departure."""
    if not _is_of(value, schema.get("type")):
        return [f"{at or 'it'}: {type(value).__name__} where {schema['type']} is expected"]
    found: list[str] = []
    if "enum" in schema and value not in schema["enum"]:
        found.append(f"{at or 'it'}: {value!r} is none of {schema['enum']}")
    if isinstance(value, Mapping):
        found += [f"{at}.{n}: missing" for n in schema.get("required", ()) if n not in value]
        properties = schema.get("properties", {})
        rest = schema.get("additionalProperties")
        for name, inner in value.items():
            of = properties.get(name, rest)
            found += mismatches(inner, of, f"{at}.{name}") if isinstance(of, dict) else []
    elif isinstance(value, Sequence) and not isinstance(value, str) and "items" in schema:
        for position, inner in enumerate(value):
            found += mismatches(inner, schema["items"], f"{at}[{position}]")
    return found


def _is_of(value: object, kind: str | None) -> bool:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    kinds = {
        "string": isinstance(value, str),
        "number": is_number,
        "integer": is_number and isinstance(value, int),
        "boolean": isinstance(value, bool),
        "array": isinstance(value, list),
        "object": isinstance(value, dict),
    }
    return kind is None or kinds[kind]
